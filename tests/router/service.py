"""A Strawberry service for the router's tests: `python -m router.service PORT`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator

import strawberry
from granian.constants import Interfaces
from granian.server.embed import Server
from strawberry.asgi import GraphQL
from strawberry.file_uploads import Upload
from strawberry.schema.config import StrawberryConfig


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "you") -> str:
        return f"hello {name}"

    @strawberry.field
    def fail(self) -> str | None:
        raise RuntimeError("failing")

    @strawberry.field
    def big(self) -> str:
        return "x" * 3_000_000


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def upload(self, file: Upload) -> int:
        return len(await file.read())  # type: ignore[attr-defined]  # what it is depends on the server


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self, to: int = 3) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number
            await asyncio.sleep(0.01)

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError("breaking")


config = StrawberryConfig(batching_config={"max_operations": 10})
schema = strawberry.Schema(Query, Mutation, Subscription, config=config)
PROTOCOLS = (
    *("multipart-subscription", "graphql-sse"),
    *("graphql-transport-ws", "graphql-ws"),
)


def main() -> None:
    app = GraphQL(schema, multipart_uploads_enabled=True, subscription_protocols=PROTOCOLS)
    server = Server(app, address="127.0.0.1", port=int(sys.argv[1]), interface=Interfaces.ASGINL, log_enabled=False)
    asyncio.run(server.serve())


if __name__ == "__main__":
    main()
