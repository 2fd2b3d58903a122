"""prefork_app, which answers one request while it is loaded: before its host forks, in a host that preloads."""

from __future__ import annotations

from io import BytesIO

from prefork_app import application

BODY = b'{"query": "query A { a }"}'

application(
    {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/graphql",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(BODY)),
        "wsgi.input": BytesIO(BODY),
    },
    lambda *_: None,
)
