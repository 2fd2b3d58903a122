"""Where every question starts: which graphs there are, questions about one, its check, and the pipeline itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from ..journal.port import Journal
from ..store.port import Store
from . import queries
from .about import about, lesser_coverages
from .allowances import Allowances
from .answers import About, Graph, Scope
from .check_answers import Check, FailOn
from .concerned import Concerned
from .dead_letters import DeadLetters
from .freshness import Freshness
from .joined import joined
from .marks import Marks
from .mistakes import BadQuestion
from .published import build
from .questions import Questions
from .schema_check import Judging
from .served import Served, served
from .status import Progress, Refusals, Status, status
from .touches import Comparison
from .verify import Verification, Verifier
from .window import duration, utc, window

DEFAULT_WINDOW = "7d"
FIRST_SHAPES = 100
"""Judged of each kind of reporter before it is asked whether any more could change a verdict."""
MOST_SHAPES = 20_000


class Insights:
    """Safe to share between threads, as far as its store and journal are.

    `group` is the loader's consumer group and `pipeline` its name in the ledger.  `progress` and
    `refusals` tell what loader and collector of this process have done, where they run in it.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        group: str,
        pipeline: str,
        clock: Callable[[], float],
        progress: Callable[[], Progress] | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._progress = progress
        self._refusals = refusals
        self._freshness = Freshness(journal, group, clock)
        self.marks = Marks(store, clock)
        self.dead_letters = DeadLetters(store, journal)
        self._verifier = Verifier(store, journal, group, pipeline, clock)

    def graphs(self) -> list[Graph]:
        """Every graph that ever reported or published anything."""
        epoch = datetime.fromtimestamp(0, UTC)
        rows = [(row["org"], row["graph"], utc(row["last_seen"])) for row in self._store.query(queries.GRAPHS)]
        return [Graph(org, graph, seen if seen > epoch else None) for org, graph, seen in rows]

    def ask(self, scope: Scope, last: str = DEFAULT_WINDOW) -> Questions:
        """Questions about the window that ends now; `last` is its length, as in `30d`."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        try:
            asked = window(now - duration(last), now, now)
        except OverflowError:
            raise BadQuestion(f"`{last}` is too long a window") from None
        fresh = self._freshness.backlog().complete_up_to
        lesser = lesser_coverages(self._store, scope, asked)
        return Questions(self._store, scope, asked, about(self._store, scope, asked, fresh, now, lesser), lesser)

    def check(
        self,
        scope: Scope,
        schema: str,
        against: str | None = None,
        last: str = "30d",
        allowances: Allowances = Allowances(),  # noqa: B008  frozen
        fail_on: FailOn = FailOn.UNKNOWN,
    ) -> Check:
        """What becoming `schema` (SDL) would do to the traffic of the window.

        `against` is the SDL that is served now.  If it is left out, these are the newest published one and all that
        traffic runs on as well.  Marks come on top of the allowances.
        """
        new = build(schema, "new schema")
        given = Served({"": build(against, "old schema", strict=False)}) if against is not None else None
        questions = self.ask(scope, last)
        now = given or served(self._store, scope, questions.window)
        allowances = replace(allowances, marks=self.marks.active(scope))
        concerned = Concerned(self._store, scope, questions.window, questions.lesser)
        checks = {
            version: _compared(Comparison(old, new), concerned, questions.about, allowances, fail_on)
            for version, old in now.schemas.items()
        }
        return joined(checks, now.unknown, fail_on)

    def verify(self, scope: Scope | None = None) -> Verification:
        """Is everything that was appended in the store, once?  With a scope, totals of that graph alone."""
        return self._verifier.verify(scope)

    def status(self, scope: Scope | None = None) -> Status:
        """How the pipeline is doing; with a scope, without what concerns other graphs."""
        return status(self._store, self._freshness, self.graphs, scope, self._progress, self._refusals)


def _compared(
    compared: Comparison, concerned: Concerned, about: About, allowances: Allowances, fail_on: FailOn
) -> Check:
    judging = Judging(compared, about, allowances)
    found, unjudged = concerned.some(compared, compared.changes, FIRST_SHAPES)
    judging.add(found)
    unread = 0
    if unjudged:
        found, unread = concerned.some(compared, judging.open(), MOST_SHAPES)
        unjudged -= judging.add(found)
    return judging.answer(fail_on, unread, unjudged)
