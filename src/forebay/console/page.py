"""The page: everything about one graph at a glance, and the three questions as forms.  Works without scripts."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ..access import Denied
from ..errors import ForebayError, RetryLater, Stop
from ..insights.answers import Scope
from ..insights.insights import DEFAULT_WINDOW, Insights
from ..insights.mistakes import BadQuestion
from . import wording
from .api import body_of
from .asking import Asked, NotFound, status_of
from .chart import chart
from .gate import COOKIE, Gate, from_here

WINDOWS = ("1h", "24h", "7d", "30d", "90d")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Page:
    """Renders templates.  Everything that they print is escaped."""

    def __init__(self, insights: Insights, gate: Gate) -> None:
        self._insights = insights
        self._gate = gate
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(str(importlib.resources.files(__package__) / "templates")),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        for word in (wording.count, wording.percent, wording.span, wording.moment, wording.ago):
            self._templates.filters[word.__name__] = word

    async def handle(self, request: Request) -> Response:
        """GET shows the page, POST a schema check on it; `?token=` lets a browser in."""
        try:
            if token := request.query_params.get("token"):
                return self._let_in(request, token)
            only = self._gate.admit(request, cookies=True)
            form: Mapping[str, str] = {}
            if request.method == "POST":
                if not from_here(request):
                    raise Denied("send this form from the console's own page", forbidden=True)
                form = dict(parse_qsl((await body_of(request)).decode(errors="replace"), keep_blank_values=True))
            asked = Asked(only, {**request.query_params, **form})
            return await run_in_threadpool(lambda: self._shown(asked))
        except ForebayError as exc:
            return self._render("stopped.html", status_of(exc)[0], message=str(exc))

    def _let_in(self, request: Request, token: str) -> Response:
        """Keep the token in a cookie and go to the page without it in the address.

        The page itself goes on, not a redirect: a strict cookie is not sent on one that started elsewhere.
        """
        self._gate.enter(token)
        left = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        response = self._render("entered.html", address=f"/?{urlencode(left)}" if left else "/")
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")
        return response

    def _shown(self, asked: Asked) -> Response:
        now = datetime.now(UTC)
        try:
            view = self._view(asked, now)
        except NotFound as exc:
            return self._render("empty.html", 404 if asked.query.get("graph") else 200, message=str(exc))
        except (RetryLater, Stop) as exc:  # journal or store: the pipeline's state tells which, and since when
            state = self._insights.status(asked.only)
            return self._render("stopped.html", status_of(exc)[0], message=str(exc), pipeline=state, now=now)
        return self._render("page.html", now=now, windows=WINDOWS, asked=asked.query, **view)

    def _view(self, asked: Asked, now: datetime) -> dict[str, Any]:
        insights, query = self._insights, asked.query
        graphs = [each for each in insights.graphs() if asked.only in (None, (each.org, each.graph))]
        if asked.only is None and not query.get("graph") and graphs:
            never = datetime.fromtimestamp(0, UTC)
            latest = max(graphs, key=lambda each: each.last_seen or never)
            scope = Scope(latest.org, latest.graph)
        else:
            scope = asked.scope(insights)
        window = query.get("window") or DEFAULT_WINDOW
        trouble: list[str] = []
        try:
            asking = insights.ask(scope, window)
        except BadQuestion as exc:
            trouble.append(str(exc))
            window = DEFAULT_WINDOW
            asking = insights.ask(scope, window)
        requests = asking.requests_over_time()
        view: dict[str, Any] = {
            "scope": scope,
            "graphs": graphs,
            "window": window,
            "about": asking.about,
            "chart": chart(requests),
            "requests": sum(moment.requests for moment in requests.moments),
            "errors": sum(moment.errors for moment in requests.moments),
            "operations": asking.operations(limit=25),
            "clients": asking.clients().clients,
            "schema": asking.schema_use() if asking.schema else None,
            "pipeline": insights.status(asked.only),
            "clients_of": None,
            "errors_at": None,
            "errors_of": None,
            "fields_of": None,
            "check": None,
            "trouble": trouble,
        }
        if coordinate := query.get("coordinate", "").strip():
            view["clients_of"] = asking.clients_of(coordinate, limit=200)
            view["errors_at"] = asking.errors_at(coordinate, limit=200)
        elif operation := query.get("operation"):
            view["errors_of"] = asking.errors(limit=200, operation=operation)
        if "client" in query:
            view["fields_of"] = asking.fields_of(query["client"], query.get("version") or None)
        if query.get("schema", "").strip():
            try:
                view["check"] = insights.check(scope, query["schema"], None, window)
            except BadQuestion as exc:
                trouble.append(str(exc))
        return view

    def _render(self, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(template).render(values), status, HEADERS)
