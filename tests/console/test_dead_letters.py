"""Dead letters in the JSON API: what is answered, and who may see and do what."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from browse import Browse
from reports import report
from world import World

from forebay.access import Identity, Scope, SigningKeys
from forebay.core.record import SHAPES, TALLIES, encode
from forebay.core.sequences import MAX_INTERVALS
from forebay.journal.port import Message

RAW = b"\xff\x00 no record"


@pytest.fixture(autouse=True)
def letters(world: World) -> None:
    """Nobody's in each of two topics."""
    misplaced = report(world.scope.org, "a", 1, 7, graph=world.scope.graph, received=int(world.now * 1000))
    world.append_raw(RAW)
    world.journal.append([Message(SHAPES, "key", encode(misplaced))]).result()
    world.load()


def token(keys: SigningKeys, world: World, scope: Scope = Scope.READ) -> dict[str, str]:
    return {"Authorization": f"Bearer {keys.create(Identity(*world.scope, scope), 60)}"}


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def replay(browse: Browse, content: object, **more: Any) -> httpx.Response:
    return browse("/api/v1/dead-letters/replay", method="POST", json=content, **more)


def test_letters_are_listed_and_chosen_by_reason(browse: Browse) -> None:
    body = browse("/api/v1/dead-letters").json()
    assert body["total"] == 2
    assert {each["id"] for each in body["letters"]} == {"forebay.tallies/0/0", "forebay.shapes/0/0"}
    [letter] = browse("/api/v1/dead-letters?reason=undecodable&limit=1").json()["letters"]
    assert (letter["id"], letter["size"], letter["now"]) == ("forebay.tallies/0/0", len(RAW), "undecodable")
    assert refusal(browse("/api/v1/dead-letters?limit=0")) == (400, "bad_question")


def test_a_letter_comes_with_its_bytes_in_base64(browse: Browse) -> None:
    body = browse("/api/v1/dead-letters/forebay.tallies/0/0").json()
    assert base64.b64decode(body["raw"]) == RAW
    assert refusal(browse("/api/v1/dead-letters/forebay.tallies/0/9")) == (404, "not_found")
    assert refusal(browse("/api/v1/dead-letters/nothing")) == (400, "bad_question")


def test_a_replay_says_what_it_did(browse: Browse, world: World) -> None:
    body = replay(browse, {"all": True}).json()
    assert (body["appended"], body["refused"], body["refusals"][0]["id"]) == (1, 1, "forebay.tallies/0/0")
    world.load()
    assert replay(browse, {"ids": ["forebay.shapes/0/0"]}).json()["landed"] == 1
    assert browse("/api/v1/verify").json()["compared"]["requests"] == 7


@pytest.mark.parametrize(
    "content", [{}, {"ids": ["a"], "all": True}, {"ids": ["a"], "reason": "x"}, {"every": True}, [], {"ids": ["a"]}]
)
def test_a_body_that_is_no_replay_is_explained(browse: Browse, content: object) -> None:
    assert refusal(replay(browse, content)) == (400, "bad_question")


def test_a_page_elsewhere_can_not_make_a_browser_replay(browse: Browse) -> None:
    sent: dict[str, Any] = {"content": b'{"all": true}', "headers": {"Content-Type": "text/plain"}}
    assert refusal(browse("/api/v1/dead-letters/replay", method="POST", **sent)) == (400, "bad_question")


def test_a_read_token_sees_its_own_graphs_letters_and_nobodys_only_in_the_count_of_status(
    browse: Browse, keys: SigningKeys, world: World
) -> None:
    mine: dict[str, Any] = {"keys": keys, "headers": token(keys, world)}
    assert browse("/api/v1/dead-letters", **mine).json() == {"total": 0, "letters": []}
    assert refusal(browse("/api/v1/dead-letters/forebay.tallies/0/0", **mine)) == (404, "not_found")
    assert sum(each["letters"] for each in browse("/api/v1/status", **mine).json()["dead_letters"]) == 2
    gaps = [
        encode(report(world.scope.org, "gaps", 2 * n, graph=world.scope.graph, received=int(world.now * 1000)))
        for n in range(1, MAX_INTERVALS + 2)
    ]
    world.journal.append([Message(TALLIES, "key", each) for each in gaps]).result()
    world.load()
    [letter] = browse("/api/v1/dead-letters", **mine).json()["letters"]
    assert (letter["reason"], letter["org"], letter["graph"]) == ("sequence_gaps", *world.scope)
    assert base64.b64decode(browse(f"/api/v1/dead-letters/{letter['id']}", **mine).json()["raw"]) == gaps[-1]
    stranger: dict[str, Any] = {"keys": keys, "headers": strangers(keys)}
    assert browse("/api/v1/dead-letters", **stranger).json()["total"] == 0
    assert refusal(browse(f"/api/v1/dead-letters/{letter['id']}", **stranger)) == (404, "not_found")


def strangers(keys: SigningKeys) -> dict[str, str]:
    return {"Authorization": f"Bearer {keys.create(Identity('stranger', 'shop', Scope.READ), 60)}"}


def test_no_token_replays(browse: Browse, keys: SigningKeys, world: World) -> None:
    refused = replay(browse, {"all": True}, keys=keys, headers=token(keys, world))
    assert refusal(refused) == (403, "forbidden")
    assert "loopback" in refused.json()["message"]
    write = token(keys, world, Scope.WRITE)
    assert refusal(replay(browse, {"all": True}, keys=keys, headers=write)) == (403, "forbidden")
    assert refusal(replay(browse, {"all": True}, keys=keys)) == (401, "unauthorized")
    assert world.journal.bounds(world.journal.partitions(TALLIES)[0]).high == 1
