"""The JSON API: answers, errors and who may ask."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from browse import Browse
from world import SDL, World

from forebay.access import Identity, Scope, SigningKeys

PROFILE = "query Profile($id: ID!) { user(id: $id) { id email } }"


@pytest.fixture(autouse=True)
def traffic(world: World) -> None:
    world.publish()
    world.start()
    world.request(PROFILE, 10, client="Android App", version="1.3.4", variables={"id": "1"})
    world.load()


def token(keys: SigningKeys, org: str, graph: str, scope: Scope = Scope.READ, ttl: float = 60) -> dict[str, str]:
    return {"Authorization": f"Bearer {keys.create(Identity(org, graph, scope), ttl)}"}


def refusal(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) >= {"code", "message"}
    assert "Traceback" not in response.text
    return response.status_code, body["code"]


def test_who_uses_a_coordinate(browse: Browse) -> None:
    response = browse("/api/v1/clients?coordinate=User.email&window=24h")
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert body["known"] is True
    assert [(use["client"], use["client_version"], use["requests"]) for use in body["uses"]] == [
        ("Android App", "1.3.4", 10)
    ]
    assert body["about"]["complete"] is True
    assert body["about"]["since"].endswith("Z")


def test_every_question_has_an_address(browse: Browse) -> None:
    def body(path: str) -> Any:
        response = browse(f"/api/v1/{path}")
        assert response.status_code == 200, response.text
        return response.json()

    assert [each["client"] for each in body("clients")["clients"]] == ["Android App"]
    assert body("fields?client=Android%20App&version=1.3.4")["requests"] == 10
    assert body("operations?limit=5")["operations"][0]["name"] == "Profile"
    assert body("errors?operation=x")["fields"] == body("errors")["fields"] == []
    assert body("errors?coordinate=User.email")["executions"] is None
    assert {each["use"]["coordinate"] for each in body("schema")["types"]} >= {"Query", "User"}
    assert sum(each["requests"] for each in body("requests?window=24h&steps=5")["moments"]) == 10
    assert body("graphs")[0]["graph"] == "shop"
    assert body("verify")["ok"] is True
    assert body("status")["lag_records"] == 0


def test_a_schema_check_answers_with_its_exit_code(browse: Browse) -> None:
    schema = SDL.replace("  email: String\n", "")
    body = browse("/api/v1/check", method="POST", json={"schema": schema, "window": "7d"}).json()
    assert (body["verdict"], body["exit_code"]) == ("breaks", 1)
    assert body["changes"][0]["operations"][0]["clients"] == ["Android App 1.3.4"]


def test_a_schema_that_is_none_is_refused_with_its_errors(browse: Browse) -> None:
    response = browse("/api/v1/check", method="POST", json={"schema": "type Query {"})
    assert refusal(response) == (400, "bad_schema")
    assert "line 1, column 13" in response.json()["problems"][0]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("clients?coordinate=", "coordinate"),
        ("clients?coordinate=User.email&window=soon", "window"),
        ("fields", "client"),
        ("operations?limit=0", "limit"),
        ("operations?limit=9999999999999", "limit"),
        ("requests?steps=x", "steps"),
    ],
)
def test_a_mistake_is_explained(browse: Browse, path: str, words: str) -> None:
    response = browse(f"/api/v1/{path}")
    assert refusal(response) == (400, "bad_question")
    assert words in response.json()["message"]


def test_a_graph_that_is_not_there_is_not_found(browse: Browse) -> None:
    assert refusal(browse("/api/v1/clients?org=acme&graph=nope")) == (404, "not_found")


def test_with_several_graphs_one_must_be_named(browse: Browse, world: World) -> None:
    other = World(world.store, world.path.with_name("other.sqlite"), world.scope.org, "other")
    other.request(PROFILE)
    other.load()
    other.close()
    response = browse("/api/v1/operations")
    assert refusal(response) == (400, "bad_question")
    assert f"org={world.scope.org}&graph=other" in response.json()["message"]
    assert browse(f"/api/v1/operations?org={world.scope.org}&graph=other").json()["about"]["graph"] == "other"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000"])
def test_this_machine_needs_no_token(browse: Browse, host: str) -> None:
    assert browse("/api/v1/graphs", host=host).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.0.7"])
def test_a_name_that_was_pointed_here_is_refused(browse: Browse, host: str) -> None:
    assert refusal(browse("/api/v1/graphs", host=host)) == (403, "forbidden")


def test_elsewhere_a_read_token_decides_which_graph_is_asked(browse: Browse, keys: SigningKeys, world: World) -> None:
    mine = token(keys, *world.scope)
    assert browse("/api/v1/operations", keys=keys, host="forebay.example", headers=mine).status_code == 200
    other = browse("/api/v1/operations?org=x&graph=y", keys=keys, headers=mine)
    assert refusal(other) == (403, "forbidden")
    strangers = token(keys, "stranger", "shop")
    assert browse("/api/v1/graphs", keys=keys, headers=strangers).json() == []
    assert browse("/api/v1/clients", keys=keys, headers=strangers).json()["clients"] == []


def test_without_a_good_token_nothing_is_answered(browse: Browse, keys: SigningKeys, world: World) -> None:
    for name in ("clients", "fields", "operations", "schema", "requests", "graphs", "status", "verify", "dead-letters"):
        response = browse(f"/api/v1/{name}", keys=keys)
        assert refusal(response) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
    expired = token(keys, *world.scope, ttl=-60)
    assert refusal(browse("/api/v1/graphs", keys=keys, headers=expired)) == (401, "unauthorized")
    write = token(keys, *world.scope, scope=Scope.WRITE)
    assert refusal(browse("/api/v1/graphs", keys=keys, headers=write)) == (403, "forbidden")


def test_a_cookie_is_no_key_to_the_api(browse: Browse, keys: SigningKeys, world: World) -> None:
    cookie = token(keys, *world.scope)["Authorization"].removeprefix("Bearer ")
    response = browse("/api/v1/graphs", keys=keys, headers={"Cookie": f"forebay_token={cookie}"})
    assert refusal(response) == (401, "unauthorized")


def test_a_check_that_a_page_elsewhere_could_send_unasked_is_refused(browse: Browse) -> None:
    response = browse("/api/v1/check", method="POST", content=b'{"schema": ""}', headers={"Content-Type": "text/plain"})
    assert refusal(response) == (400, "bad_question")


def test_a_body_without_bounds_is_cut_off(browse: Browse) -> None:
    response = browse("/api/v1/check", method="POST", json={"schema": "x" * (2**24 + 1)})
    assert refusal(response) == (413, "too_large")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"schema": 3}', b'{"schema": "type Query {a: Int}", "window": 3}']
)
def test_a_body_that_is_no_check_is_explained(browse: Browse, body: bytes) -> None:
    response = browse("/api/v1/check", method="POST", content=body, headers={"Content-Type": "application/json"})
    assert refusal(response) == (400, "bad_question")
