"""An aiohttp app, watched by a middleware of its own: python aiohttp_app.py 8000"""

import sys
from types import SimpleNamespace

from aiohttp import web
from graphql import build_schema, graphql

from forebay.agent.integrations.aiohttp import Forebay

schema = build_schema('type Query { book(title: String! = "Emma"): String! }')
root = SimpleNamespace(book=lambda info, title: title)


async def answer(request: web.Request) -> web.Response:
    asked = await request.json()
    result = await graphql(
        schema,
        asked["query"],
        root,
        variable_values=asked.get("variables"),
        operation_name=asked.get("operationName"),
    )
    return web.json_response(result.formatted)


app = web.Application(middlewares=[Forebay(schema, path="/graphql").middleware])
app.router.add_post("/graphql", answer)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
