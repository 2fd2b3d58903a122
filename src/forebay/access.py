"""Who may do what: signed tokens (JWT, HS256) that name an organisation and a graph.

The same string works in every client protocol.  Keys have ids, so that a new one can sign while
tokens of the old ones stay valid until these are retired.  Keys come from a file that only its
owner can read (created at the first start), or from `FOREBAY_SIGNING_KEYS`
(`id:secret,id:secret`, the first one signs).

A Cosmo router keeps the graph token that its control plane made if that one's secret is given in
`FOREBAY_COSMO_JWT_SECRET`: such a token may write.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import jwt
from jwt.types import Options

from .errors import ForebayError, Stop

ISSUER = "forebay"
AUDIENCE = "cosmo:graph-key"  # what Cosmo's own graph tokens carry; its routers pass any token on
ENVIRONMENT = "FOREBAY_SIGNING_KEYS"
COSMO_ENVIRONMENT = "FOREBAY_COSMO_JWT_SECRET"

REMEMBERED = 10_000
"""Verified tokens that are not verified again until they expire or a key changes."""


class Scope(StrEnum):
    WRITE = "write"  # send reports, publish schemas
    READ = "read"  # ask questions, see the page


class Denied(ForebayError):
    """The token is not good for this.  `forbidden`: it is a valid one, of another scope."""

    def __init__(self, message: str, forbidden: bool = False) -> None:
        super().__init__(message)
        self.forbidden = forbidden


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token speaks for."""

    org: str
    graph: str
    scope: Scope


class SigningKeys:
    """Key id → secret; the first one signs."""

    def __init__(self, keys: dict[str, str], path: Path | None = None) -> None:
        self._keys = keys
        self._cosmo = os.environ.get(COSMO_ENVIRONMENT)
        self._path = path
        self._known: dict[str, tuple[Identity, float]] = {}  # by header: whom it speaks for, until when
        self._stamp = path.stat().st_mtime_ns if path else 0

    @classmethod
    def load(cls, path: Path) -> SigningKeys:
        """From the environment if given there, else from the file, which is created if missing."""
        if given := os.environ.get(ENVIRONMENT):
            pairs = (pair.partition(":") for pair in given.split(","))
            keys = {id_.strip(): secret.strip() for id_, _, secret in pairs}
            if not all(keys) or any(len(secret) < 32 for secret in keys.values()):
                raise Stop(f"{ENVIRONMENT} must be `id:secret,…` with secrets of at least 32 characters")
            return cls(keys)
        if not path.exists():
            _write(path, {_new_id(): secrets.token_urlsafe(48)})
        return cls(_read(path), path)

    def create(self, identity: Identity, ttl: float, now: float | None = None) -> str:
        """A token that expires after `ttl` seconds."""
        issued = int(time.time() if now is None else now)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": issued,
            "exp": issued + int(ttl),
            "organization_id": identity.org,
            "federated_graph_id": identity.graph,
            "scope": identity.scope.value,
        }
        key_id, secret = next(iter(self._keys.items()))
        return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": key_id})

    def verify(self, authorization: str | None, scope: Scope) -> Identity:
        """The identity of an `Authorization` header's value; Denied says what is wrong with it."""
        self._refresh()
        given = authorization or ""
        known = self._known.get(given)
        if known is None or known[1] <= time.time():
            known = self._identity(given)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[given] = known
        identity = known[0]
        if identity.scope is not scope:
            message = f"this is a {identity.scope} token and {scope} is needed: `forebay token create --scope {scope}`"
            raise Denied(message, forbidden=True)
        return identity

    def rotate(self) -> str:
        """Put a new key in front; tokens of the others stay valid.  Returns its id."""
        path = self._own_file()
        key_id = _new_id()
        _write(path, {key_id: secrets.token_urlsafe(48)} | _read(path))
        self._keys = _read(path)
        return key_id

    def retire(self, key_id: str) -> None:
        """Forget a key: its tokens end at once, in running processes too."""
        path = self._own_file()
        keys = _read(path)
        if key_id not in keys or len(keys) == 1:
            raise Stop(f"no key {key_id} that could be retired; there are {', '.join(keys)}")
        del keys[key_id]
        _write(path, keys)
        self._keys = _read(path)

    def ids(self) -> list[str]:
        return list(self._keys)

    def _identity(self, authorization: str) -> tuple[Identity, float]:
        """Whom the token speaks for, and until when."""
        kind, _, token = authorization.strip().partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Denied("send `Authorization: Bearer <token>`; `forebay token create` makes one")
        try:
            claims = self._claims(token)
            org, graph = str(claims["organization_id"]), str(claims["federated_graph_id"])
            return Identity(org, graph, Scope(claims["scope"])), float(claims.get("exp", math.inf))
        except jwt.ExpiredSignatureError:
            raise Denied("the token has expired: make a new one with `forebay token create`") from None
        except (jwt.PyJWTError, ValueError):
            raise Denied("the token is not one of this Forebay: make one with `forebay token create`") from None

    def _claims(self, token: str) -> dict[str, Any]:
        key_id = jwt.get_unverified_header(token).get("kid")
        named = ["aud", "organization_id", "federated_graph_id"]
        if key_id is None and self._cosmo:
            options: Options = {"require": named}
            claims = jwt.decode(token, self._cosmo, algorithms=["HS256"], audience=AUDIENCE, options=options)
            return claims | {"scope": Scope.WRITE}
        if key_id not in self._keys:
            raise jwt.InvalidKeyError("unknown key id")
        options = {"require": [*named, "exp", "iss", "scope"]}
        secret = self._keys[str(key_id)]
        return jwt.decode(token, secret, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, options=options)

    def _refresh(self) -> None:
        """Read the keys again if another process rotated or retired some."""
        if self._path is None:
            return
        try:
            stamp = self._path.stat().st_mtime_ns
        except OSError:
            return  # what was read before holds until there is something to read again
        if stamp != self._stamp:
            self._keys, self._stamp = _read(self._path), stamp
            self._known.clear()

    def _own_file(self) -> Path:
        if self._path is None:
            raise Stop(f"the keys come from {ENVIRONMENT}: rotate them there")
        return self._path


def _new_id() -> str:
    return time.strftime("%Y%m%d-", time.gmtime()) + secrets.token_hex(3)


def _read(path: Path) -> dict[str, str]:
    try:
        keys = json.loads(path.read_text())
        return {str(id_): str(secret) for id_, secret in keys.items()}
    except (OSError, ValueError, AttributeError) as exc:
        raise Stop(f"the signing keys in {path} cannot be read: {exc}") from exc


def _write(path: Path, keys: dict[str, str]) -> None:
    """Replace the file as a whole; its mode is 0600 from the first byte."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(keys, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as exc:
        raise Stop(f"the signing keys cannot be written to {path}: {exc.strerror}") from exc
