"""What would become of records if they were appended now: the loader's own rules, on what the store says.

A guess as far as the loader lags, and as far as its version is another one; what it then really
does is decided by the same rules, so a wrong guess costs a repeat or a dead letter, never a count.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.record import Record, Report, SchemaRecord, ShapeRecord
from ..core.sequences import NONE, Sequences, add, check_gaps, from_text
from ..store.port import AgentKey, Store

SEEN = """
SELECT org, graph, agent, argMax(after, last_offset) AS held, max(last_appended) AS latest
FROM (SELECT * FROM ledger WHERE hasAny(seen_agent, {agents:Array(String)}))
ARRAY JOIN seen_agent AS agent, seen_after AS after
WHERE agent IN {agents:Array(String)} GROUP BY org, graph, agent, pipeline, topic_id, partition ORDER BY latest
"""

NAMED = """
SELECT DISTINCT 'shape' AS kind, org, graph, lower(hex(shape)) AS id FROM shapes
WHERE lower(hex(shape)) IN {shapes:Array(String)}
UNION ALL SELECT DISTINCT 'schema' AS kind, org, graph, schema_version AS id FROM schemas
WHERE schema_version IN {schemas:Array(String)}
"""


class Outlook:
    """Remembers what it let pass, as the loader will: of two equal reports only the first is new."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[AgentKey, list[Sequences]] = {}  # by partition, also of topics that are gone; the latest last
        self._named: set[tuple[str, str, str, str]] = set()

    def learn(self, records: Sequence[Record]) -> None:
        """Ask the store about these, at once; before any of the other questions."""
        reports = [record for record in records if isinstance(record, Report)]
        if unknown := {_agent(report) for report in reports} - self._seen.keys():
            self._seen |= {key: [] for key in unknown}
            for row in self._store.query(SEEN, {"agents": sorted({agent for _, _, agent in unknown})}):
                if (key := (row["org"], row["graph"], row["agent"])) in unknown:
                    self._seen[key].append(from_text(row["held"]))
        ids = {
            "shapes": sorted({record.id for record in records if isinstance(record, ShapeRecord)}),
            "schemas": sorted({record.id for record in records if isinstance(record, SchemaRecord)}),
        }
        if any(ids.values()):
            rows = self._store.query(NAMED, ids)
            self._named |= {(row["kind"], row["org"], row["graph"], row["id"]) for row in rows}

    def landed(self, record: Record) -> bool:
        """Does the store have what it says, or will it from what passed before?"""
        if isinstance(record, Report):
            return any(add(held, record.sequence) is None for held in self._seen[_agent(record)])
        return _name(record) in self._named

    def check(self, record: Record) -> None:
        """RejectRecord if the loader would put it aside."""
        if isinstance(record, Report):
            check_gaps(record.agent, self._with(record))

    def passed(self, record: Record) -> None:
        """It is being appended."""
        if isinstance(record, Report):
            self._seen[_agent(record)][-1:] = [self._with(record)]
        else:
            self._named.add(_name(record))

    def _with(self, report: Report) -> Sequences:
        held = (self._seen[_agent(report)] or [NONE])[-1]
        return add(held, report.sequence) or held


def _agent(report: Report) -> AgentKey:
    return report.org, report.graph, report.agent


def _name(record: ShapeRecord | SchemaRecord) -> tuple[str, str, str, str]:
    return "shape" if isinstance(record, ShapeRecord) else "schema", record.org, record.graph, record.id
