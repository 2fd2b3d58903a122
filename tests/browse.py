"""Asks the console's application directly, as a client on the same machine would."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.applications import Starlette

from forebay.access import SigningKeys
from forebay.console.app import routes
from forebay.console.gate import Gate
from forebay.insights.insights import Insights


@dataclass(frozen=True)
class Browse:
    """Without `keys` the console listens on loopback."""

    insights: Insights

    def __call__(
        self, path: str, *, method: str = "GET", host: str = "localhost", keys: SigningKeys | None = None, **more: Any
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=Starlette(routes=routes(self.insights, Gate(keys))))

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return await client.request(method, path, **more)

        return asyncio.run(send())
