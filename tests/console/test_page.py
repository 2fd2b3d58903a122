"""The page as HTML: what it says, that it escapes everything, and how a browser is let in."""

from __future__ import annotations

import re

import pytest
from browse import Browse
from world import SDL, World

from forebay.access import Identity, Scope, SigningKeys
from forebay.console import wording
from forebay.core.execution import Outcome
from forebay.core.histogram import bucket
from forebay.store.clickhouse import ClickHouse

NASTY = "<script>alert(1)</script>"
PROFILE = "query Profile($id: ID!) { user(id: $id) { id email nick } }"


def test_before_the_first_report_the_page_says_what_to_do(browse: Browse) -> None:
    response = browse("/")
    assert response.status_code == 200
    assert "No graph has reported anything yet" in response.text


def test_the_page_shows_traffic_schema_and_pipeline(browse: Browse, world: World) -> None:
    world.publish()
    world.start()
    world.request(PROFILE, 1234, client="Android App", version="1.3.4", errors=12, variables={"id": "1"})
    world.load()
    text = browse("/").text
    for words in ("Complete", "1,234", "Profile", "uses deprecated", "unused", "Running", "Android App"):
        assert words in text, words
    assert "style=" not in text  # the content security policy would drop it


def test_an_incomplete_answer_is_marked_and_explained(browse: Browse, world: World) -> None:
    world.publish()
    world.report({}, lost={"overflow": 12})
    world.append_raw(b"{")
    world.load()
    text = browse("/").text
    for words in ("Not complete", "Agents lost 12 requests", "1 undecodable", "dead letters", "unknown"):
        assert words in text, words
    assert ">unused<" not in text


def test_without_its_store_the_page_says_so_and_shows_what_waits(browse: Browse, world: World) -> None:
    world.request(PROFILE, variables={"id": "1"})
    world.rehouse(ClickHouse("http://127.0.0.1:1/forebay"))
    response = Browse(world.insights)("/")
    assert response.status_code == 503
    for words in ("Store away:", "2 records wait", 'http-equiv="refresh"'):
        assert words in response.text, words
    status = Browse(world.insights)("/api/v1/status")
    assert (status.status_code, status.json()["condition"]["state"], status.json()["lag_records"]) == (200, "away", 2)


def test_names_from_clients_are_never_markup(browse: Browse, world: World) -> None:
    world.publish()
    world.request(PROFILE, client=NASTY, version='"><b>', variables={"id": "1"})
    world.load()
    for path in ("/", f"/?coordinate={NASTY}", f"/?client={NASTY}&version=%22%3E%3Cb%3E", "/?coordinate=User.email"):
        text = browse(path).text
        assert "<script>alert" not in text
        assert '"><b>' not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_forms_ask_the_questions_and_keep_what_was_asked(browse: Browse, world: World) -> None:
    world.publish()
    world.request(PROFILE, 7, client="web", version="2", variables={"id": "1"})
    world.load()
    uses = browse("/?coordinate=User.email&window=24h").text
    assert "Who uses <code>User.email</code>" in uses
    assert 'value="User.email"' in uses
    assert "Did you mean" in browse("/?coordinate=User.emial").text
    fields = browse("/?client=web&version=2").text
    assert "User.nick" in fields
    assert "No such client" in browse("/?client=nobody").text


def test_errors_and_executions_are_shown_by_field_and_by_operation(browse: Browse, world: World) -> None:
    world.publish()
    shape = world.request(PROFILE, 7, errors=3, client=NASTY, variables={"id": "1"})
    world.outcome(shape, "User.email", Outcome(requests=3, errors=4), client=NASTY)
    world.outcome(shape, "", Outcome(requests=1, errors=2))
    world.outcome(shape, "User.nick", Outcome(executions=500, sampled=5, failed=100, duration={bucket(0.02): 500}))
    world.load()
    text = browse("/?coordinate=User.email").text
    assert "4 errors in 3 requests" in text
    assert "<script>alert" not in text
    assert f"operation={shape.operation}#answer" in text
    nick = browse("/?coordinate=User.nick").text
    for words in ("about 500 executions", "20 % failed", "p95 19 ms", "estimate", "from 5 that were seen"):
        assert words in nick, words
    assert "Errors that arose here" not in nick
    operation = browse(f"/?operation={shape.operation}").text
    for words in ("Errors of", "Profile", "6 errors, of which 2 arose where the field is not known", "User.email"):
        assert words in operation, words
    assert "No errors at fields" in browse("/?operation=another").text


def test_a_schema_is_checked_on_the_page(browse: Browse, world: World) -> None:
    world.publish()
    world.start()
    world.request(PROFILE, variables={"id": "1"})
    world.load()
    form = {"schema": SDL.replace("  email: String\n", ""), "window": "7d"}
    text = browse("/", method="POST", data=form).text
    assert "would break" in text
    assert "field User.email was removed" in text
    assert "line 1, column 13" in browse("/", method="POST", data={"schema": "type Query {"}).text
    elsewhere = browse("/", method="POST", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403


def test_a_window_that_is_none_is_explained_and_the_page_still_shows(browse: Browse, world: World) -> None:
    world.request(PROFILE, variables={"id": "1"})
    world.load()
    response = browse("/?window=soon")
    assert response.status_code == 200
    assert "`soon` is no window" in response.text


def test_nothing_from_elsewhere_may_run_or_frame_the_page(browse: Browse, world: World) -> None:
    response = browse("/")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', response.text)
    for name in ("forebay.css", "refresh.js", "forebay.svg"):
        assert browse(f"/static/{name}").status_code == 200
    assert browse("/static/../app.py").status_code == 404


def test_a_browser_is_let_in_by_a_token_that_it_keeps_out_of_sight(
    browse: Browse, world: World, keys: SigningKeys
) -> None:
    world.request(PROFILE, variables={"id": "1"})
    world.load()
    assert browse("/", keys=keys).status_code == 401
    token = keys.create(Identity(*world.scope, Scope.READ), ttl=60)
    entered = browse(f"/?token={token}&window=24h", keys=keys)
    assert entered.status_code == 200
    assert token not in entered.text
    assert 'content="0;url=/?window=24h"' in entered.text
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert browse("/", keys=keys, headers={"Cookie": cookie.partition(";")[0]}).status_code == 200
    assert browse("/?token=wrong", keys=keys).status_code == 401


def test_a_name_that_was_pointed_here_sees_no_page(browse: Browse) -> None:
    assert browse("/", host="evil.example").status_code == 403


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), (4e-5, "40 µs"), (0.0194, "19 ms"), (2.44, "2.4 s"), (150, "2 min"), (9000, "2 h"), (1e6, "12 days")],
)
def test_spans_are_said_in_the_unit_that_fits(value: float | None, words: str) -> None:
    assert wording.span(value) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (1, "100 %"), (1e-9, "< 0.01 %"), (0.9999, "> 99.9 %"), (0.996, "99 %"), (0.031, "3.1 %")],
)
def test_a_share_is_never_rounded_to_none_or_all(share: float, words: str) -> None:
    assert wording.percent(share) == words


@pytest.mark.parametrize(("number", "words"), [(950, "950"), (12_400, "12,400"), (3_240_000, "3.2 M"), (5e10, "50 G")])
def test_counts_stay_short(number: int, words: str) -> None:
    assert wording.count(number) == words
