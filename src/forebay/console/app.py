"""The console's addresses, to be put into an application beside others."""

from __future__ import annotations

import importlib.resources

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from ..insights.insights import Insights
from .api import api
from .gate import Gate
from .page import Page


def routes(insights: Insights, gate: Gate) -> list[BaseRoute]:
    """`/`, `/static/` and `/api/v1/`.  Every question runs in a thread of its own, not in the event loop."""
    static = StaticFiles(directory=str(importlib.resources.files(__package__) / "static"))
    page = Page(insights, gate)
    return [
        Route("/", page.handle, methods=["GET", "POST"]),
        Mount("/static", static),
        *api(insights, gate),
    ]
