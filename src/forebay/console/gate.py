"""Who may ask, and about which graph.

On loopback everyone on this machine may, about every graph; the `Host` header must then name this
machine, or a page elsewhere could point its own name here and read along (DNS rebinding).
Everywhere else a read token decides, and its graph is the only one there is.
"""

from __future__ import annotations

import re

from starlette.requests import Request

from ..access import Denied, Scope, SigningKeys
from ..insights.answers import Scope as Graph

COOKIE = "forebay_token"
_LOCAL = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)


class Gate:
    """`keys` verify tokens; None means that the server listens on loopback and needs none."""

    def __init__(self, keys: SigningKeys | None) -> None:
        self._keys = keys

    def admit(self, request: Request, cookies: bool = False) -> Graph | None:
        """The only graph that may be asked about, None for all; Denied.

        Only the page reads `cookies`: a browser sends them by itself, for whoever made it ask.
        """
        if self._keys is None:
            if not _LOCAL.fullmatch(request.headers.get("host", "")):
                raise Denied("ask for localhost, 127.0.0.1 or [::1]: this console serves its own machine", True)
            return None
        authorization = request.headers.get("authorization")
        if authorization is None and cookies and (token := request.cookies.get(COOKIE)):
            authorization = f"Bearer {token}"
        identity = self._keys.verify(authorization, Scope.READ)
        return Graph(identity.org, identity.graph)

    def enter(self, token: str) -> None:
        """Is this a token that a browser may keep?  Denied if not."""
        if self._keys is not None:
            self._keys.verify(f"Bearer {token}", Scope.READ)


def from_here(request: Request) -> bool:
    """Was a form sent by our own page?  Browsers say so themselves, and other programs need no protection."""
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
