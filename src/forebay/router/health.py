"""Health, readiness and metrics of a router, on an address of their own, away from the upstream's paths."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from .. import metrics
from .proxy import Proxy
from .reports import Reports


def health(proxy: Proxy, reports: Reports) -> web.Application:
    async def alive(_: web.Request) -> web.Response:
        return web.json_response(
            {"status": "ok", "schema": reports.schema is not None, "in_flight": proxy.in_flight} | reports.status()
        )

    async def ready(_: web.Request) -> web.Response:
        """Not any more once it is being stopped; a schema or collector that is away is no reason not to be."""
        return web.json_response(
            {"status": "stopping" if proxy.draining else "ok"}, status=503 if proxy.draining else 200
        )

    async def told(_: web.Request) -> web.Response:
        status = reports.status()
        metrics.ROUTER_IN_FLIGHT.set(proxy.in_flight)
        metrics.ROUTER_PENDING.set(status["pending"] + status["held"])
        for reason, requests in status["lost"].items():
            metrics.ROUTER_LOST.labels(reason).set(requests)
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/health", alive), web.get("/ready", ready), web.get("/metrics", told)])
    return app
