"""Posting a report over HTTP, with nothing but the standard library.

Proxies are taken from the environment.  Redirects are not followed: a POST would arrive
elsewhere as a GET, and its answer would look like an acknowledgement.
"""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from .. import __version__
from ..core.wire import PATH
from ..errors import RetryLater, Stop

ANSWER_BYTES = 64 * 2**10
"""Of an answer no more is read."""


class Answer(NamedTuple):
    """A collector's answer; times in seconds, None where it gave none."""

    status: int
    retry_after: float | None = None
    interval: float | None = None


class Post:
    """Sends bodies to one collector.  Calling it raises RetryLater where no answer came."""

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
                    return Answer(response.status, interval=_interval(response.read(ANSWER_BYTES)))
            except HTTPError as refusal:
                with refusal:
                    return Answer(refusal.code, retry_after=_seconds(refusal.headers.get("Retry-After")))
        except (OSError, HTTPException) as exc:
            reason = getattr(exc, "reason", exc)
            raise RetryLater(f"no answer from the collector ({type(reason).__name__})") from exc


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _interval(answer: bytes) -> float | None:
    try:
        return _seconds(json.loads(answer)["interval"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _seconds(text: object) -> float | None:
    try:
        seconds = float(str(text))
    except ValueError:  # a date, or nothing
        return None
    return seconds if 0 <= seconds < float("inf") else None
