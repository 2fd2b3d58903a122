"""Tokens: one string for every protocol, keys that rotate without downtime."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest

from forebay.access import AUDIENCE, COSMO_ENVIRONMENT, ENVIRONMENT, Denied, Identity, Scope, SigningKeys
from forebay.errors import Stop

WHO = Identity("acme", "products", Scope.WRITE)


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys.load(tmp_path / "keys.json")


def bearer(token: str) -> str:
    return f"Bearer {token}"


def test_a_token_carries_the_claims_that_cosmo_routers_and_people_expect(keys: SigningKeys) -> None:
    token = keys.create(WHO, ttl=60, now=1_000)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims == {
        "iss": "forebay",
        "aud": "cosmo:graph-key",
        "iat": 1_000,
        "exp": 1_060,
        "organization_id": "acme",
        "federated_graph_id": "products",
        "scope": "write",
    }
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


def test_a_token_is_good_for_its_scope_alone_and_until_it_expires(keys: SigningKeys) -> None:
    assert keys.verify(bearer(keys.create(WHO, 60)), Scope.WRITE) == WHO
    with pytest.raises(Denied) as denied:
        keys.verify(bearer(keys.create(WHO, 60)), Scope.READ)
    assert denied.value.forbidden
    with pytest.raises(Denied, match="expired"):
        keys.verify(bearer(keys.create(WHO, 60, now=time.time() - 3600)), Scope.WRITE)


def test_tokens_that_are_not_ours_are_refused(keys: SigningKeys, tmp_path: Path) -> None:
    other = SigningKeys.load(tmp_path / "other.json")
    claims = jwt.decode(keys.create(WHO, 60), options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"kid": keys.ids()[0]})
    guessed = jwt.encode(claims, "x" * 40, algorithm="HS256", headers={"kid": keys.ids()[0]})
    nameless = jwt.encode(claims, "x" * 40, algorithm="HS256")
    for token in (other.create(WHO, 60), unsigned, guessed, nameless, "a.b.c", "\u00e9"):
        with pytest.raises(Denied, match="not one of this Forebay"):
            keys.verify(bearer(token), Scope.WRITE)


def test_a_rotated_key_signs_at_once_and_the_old_one_holds_until_it_is_retired(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    running, operator = SigningKeys.load(path), SigningKeys.load(path)
    old_id, old = running.ids()[0], running.create(WHO, 60)
    new_id = operator.rotate()
    new = operator.create(WHO, 60)
    assert jwt.get_unverified_header(new)["kid"] == new_id
    assert running.verify(bearer(new), Scope.WRITE) == running.verify(bearer(old), Scope.WRITE) == WHO
    operator.retire(old_id)
    with pytest.raises(Denied):
        running.verify(bearer(old), Scope.WRITE)
    assert running.verify(bearer(new), Scope.WRITE) == WHO
    with pytest.raises(Stop, match="no key"):
        operator.retire("nowhere")
    with pytest.raises(Stop):
        operator.retire(new_id)  # the last one


def test_a_token_that_was_verified_before_still_expires(keys: SigningKeys) -> None:
    token = bearer(keys.create(WHO, ttl=1))
    assert keys.verify(token, Scope.WRITE) == WHO
    time.sleep(1.1)
    with pytest.raises(Denied, match="expired"):
        keys.verify(token, Scope.WRITE)


def test_the_file_is_its_owners_alone_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    SigningKeys.load(path).rotate()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


def test_keys_from_the_environment_win_and_are_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, f"k2:{'b' * 40}, k1:{'a' * 40}")
    keys = SigningKeys.load(tmp_path / "keys.json")
    assert keys.ids() == ["k2", "k1"]
    assert keys.verify(bearer(keys.create(WHO, 60)), Scope.WRITE) == WHO
    with pytest.raises(Stop, match=ENVIRONMENT):
        keys.rotate()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv(ENVIRONMENT, "short:secret")
    with pytest.raises(Stop, match="at least 32"):
        SigningKeys.load(tmp_path / "keys.json")


def test_a_cosmo_control_planes_own_token_may_write_if_its_secret_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = {"aud": AUDIENCE, "iss": "elsewhere", "organization_id": "acme", "federated_graph_id": "products"}
    token = jwt.encode(claims, "c" * 40, algorithm="HS256")
    with pytest.raises(Denied):
        SigningKeys.load(tmp_path / "keys.json").verify(bearer(token), Scope.WRITE)
    monkeypatch.setenv(COSMO_ENVIRONMENT, "c" * 40)
    keys = SigningKeys.load(tmp_path / "keys.json")
    assert keys.verify(bearer(token), Scope.WRITE) == WHO
    with pytest.raises(Denied):
        keys.verify(bearer(token), Scope.READ)
    empty = jwt.encode({"aud": AUDIENCE}, "c" * 40, algorithm="HS256")
    with pytest.raises(Denied):
        keys.verify(bearer(empty), Scope.WRITE)
