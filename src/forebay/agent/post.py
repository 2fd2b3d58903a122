"""Posting a report over HTTP, with nothing but the standard library.

Proxies and certificates are taken from the environment, as urllib and OpenSSL do.  Redirects are
not followed: a POST would arrive elsewhere as a GET.  Only what a collector has said is genuine:
whatever else stands in the way may answer 200 or 404 too.
"""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from .. import __version__
from ..core.wire import PATH
from ..errors import RetryLater, Stop

ANSWER_BYTES = 64 * 2**10
"""Of an answer no more is read."""


class Answer(NamedTuple):
    """What was answered, `genuine` if by a collector; times in seconds, None where it gave none."""

    status: int
    retry_after: float | None = None
    interval: float | None = None
    genuine: bool = True


class Post:
    """Sends bodies to one collector.  Calling it raises RetryLater where no answer came.

    That is `unsent` where not all of the body went out, so that it was not taken.
    """

    def __init__(self, url: str, token: str) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise Stop("FOREBAY_URL must begin with http:// or https://")
        if not (token.isascii() and token.isprintable()):
            raise Stop("FOREBAY_TOKEN must be one line of ASCII")
        self._url = url.rstrip("/").removesuffix(PATH) + PATH
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "User-Agent": f"forebay-agent/{__version__}",
        }
        self._opener = build_opener(_NoRedirect)

    def __call__(self, body: bytes, timeout: float) -> Answer:
        request = Request(self._url, body, self._headers, method="POST")  # noqa: S310  the scheme was checked
        try:
            try:
                with self._opener.open(request, timeout=timeout) as response:
                    said = _said(response.read(ANSWER_BYTES))
                    taken = said.get("accepted") is True
                    return Answer(response.status, interval=_seconds(said.get("interval")), genuine=taken)
            except HTTPError as refusal:
                with refusal:
                    genuine = isinstance(_said(refusal.read(ANSWER_BYTES)).get("code"), str)
                    return Answer(refusal.code, _seconds(refusal.headers.get("Retry-After")), genuine=genuine)
        except (OSError, HTTPException) as exc:
            reason = getattr(exc, "reason", exc)
            unsent = isinstance(exc, URLError)  # before the answer is awaited, errors are wrapped in these
            raise RetryLater(f"no answer from the collector ({type(reason).__name__})", unsent=unsent) from exc


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _said(answer: bytes) -> dict[str, Any]:
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _seconds(text: object) -> float | None:
    try:
        seconds = float(str(text))
    except ValueError:  # a date, or nothing
        return None
    return seconds if 0 <= seconds < float("inf") else None
