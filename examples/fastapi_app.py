"""A FastAPI app, watched by the ASGI middleware: granian --interface asgi --port 8000 fastapi_app:app"""

from types import SimpleNamespace
from typing import Any

from fastapi import Body, FastAPI
from graphql import build_schema, graphql

from forebay.agent.integrations.asgi import Forebay

schema = build_schema('type Query { book(title: String! = "Emma"): String! }')
root = SimpleNamespace(book=lambda info, title: title)
app = FastAPI()
app.add_middleware(Forebay, schema=schema, path="/graphql")


@app.post("/graphql")
async def answer(asked: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008  FastAPI's way
    result = await graphql(
        schema,
        asked["query"],
        root,
        variable_values=asked.get("variables"),
        operation_name=asked.get("operationName"),
    )
    return dict(result.formatted)
