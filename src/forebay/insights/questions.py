"""The questions about one graph in one window, and their answers."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from graphql import GraphQLEnumType

from ..core.coordinate import Kind, State
from ..core.execution import NOWHERE
from ..core.histogram import quantile
from ..core.shape import Coverage
from ..store.port import Store
from . import queries
from .answers import (
    About,
    ClientErrors,
    Clients,
    ClientsOf,
    ClientTraffic,
    Errors,
    ErrorsAt,
    FieldErrors,
    FieldExecutions,
    FieldsOf,
    Moment,
    Operations,
    OperationTraffic,
    RequestsOverTime,
    SchemaUse,
    Scope,
    Use,
    Used,
)
from .mistakes import BadQuestion, BadSchema
from .published import Published, coordinates, deprecated, nearest, types_of, version
from .schema_use import Counted, schema_use
from .window import Window, utc


class Questions:
    """Asks the store; `about` holds for every answer.  `lesser`: what reporters see that do not see everything."""

    def __init__(
        self, store: Store, scope: Scope, window: Window, about: About, lesser: frozenset[frozenset[Coverage]]
    ) -> None:
        self._store = store
        self._scope = scope
        self.window = window
        self.about = about
        self.lesser = lesser

    @cached_property
    def schema(self) -> Published | None:
        """The newest schema of the graph; None if none was published, or none that can be built."""
        try:
            return newest(self._store, self._scope)
        except BadSchema:
            return None

    def clients_of(self, coordinate: str, limit: int = 1000) -> ClientsOf:
        """Which clients, versions and operations use a coordinate: those with most requests, and how many there are."""
        coordinate = coordinate.strip()
        rows = self._ask(queries.CLIENTS_OF, coordinate=coordinate, limit=limit)
        uses = [_use(row) for row in rows if row["requests"]]
        total, requests = len(uses), sum(use.requests for use in uses)
        if len(rows) == limit:
            total, requests = self._ask(queries.ALL_CLIENTS_OF, coordinate=coordinate)[0].values()
        known = self._known(coordinate)
        return ClientsOf(
            about=self.about,
            coordinate=coordinate,
            known=known,
            suggestions=nearest(self.schema.schema, coordinate) if self.schema and not known else (),
            requests=requests,
            total=total,
            uses=tuple(sorted(uses, key=lambda use: (-use.requests, use.client, use.client_version, use.name))),
        )

    def _known(self, coordinate: str) -> bool | None:
        """Is it in the newest schema, or in one that traffic of the window ran on?"""
        if self.schema is None:
            return None
        if coordinate in coordinates(self.schema.schema):
            return True
        for row in self._ask(queries.SCHEMAS_RUN):
            try:
                if coordinate in coordinates(version(row["schema_version"], row["sdl"]).schema):
                    return True
            except BadSchema:
                continue
        return False

    def clients(self) -> Clients:
        """Every client and version with traffic, by requests."""
        return Clients(
            about=self.about, clients=tuple(ClientTraffic(**_with_times(row)) for row in self._ask(queries.CLIENTS))
        )

    def fields_of(self, client: str, client_version: str | None = None) -> FieldsOf:
        """What a client uses, in one version or in all."""
        who = _who(client, client_version)
        return FieldsOf(
            about=self.about,
            client=client,
            client_version=client_version,
            requests=self._ask(queries.CLIENT_REQUESTS, **who)[0]["requests"],
            uses=tuple(
                Used(Kind(row["kind"]), row["coordinate"], row["requests"], row["operations"], utc(row["last_seen"]))
                for row in self._ask(queries.FIELDS_OF, **who)
            ),
        )

    def operations(self, limit: int = 100, client: str | None = None, client_version: str | None = None) -> Operations:
        """The operations with most requests, of all clients or of one, in one version or in all.

        What has no shape yet counts under the empty name.
        """
        old = deprecated(self.schema.schema) if self.schema else []
        who = {"any_client": int(client is None), **_who(client or "", client_version)}
        rows = self._ask(queries.OPERATIONS, limit=limit, deprecated=old, **who)
        return Operations(
            about=self.about,
            total=rows[0]["total"] if rows else 0,
            operations=tuple(_operation(row, self.schema is not None) for row in rows),
        )

    def errors(self, limit: int = 100, operation: str | None = None) -> Errors:
        """The fields at which most errors arose, in all operations or in one (by its id)."""
        which = {"any_operation": int(operation is None), "operation": operation or ""}
        rows = self._ask(queries.ERRORS_BY_FIELD, limit=limit + 1, **which)
        total, fields = (rows[0]["total"], rows[0]["fields"]) if rows else (0, 0)
        nowhere = [rows.pop(0)] if rows and rows[0]["coordinate"] == NOWHERE else []
        return Errors(
            about=self.about,
            operation=operation,
            errors=total,
            unattributed=sum(row["n"] for row in nowhere),
            total=fields - len(nowhere),
            fields=tuple(
                FieldErrors(row["coordinate"], row["n"], row["failed"], row["clients"], utc(row["last_seen"]))
                for row in rows[:limit]
            ),
        )

    def errors_at(self, coordinate: str, limit: int = 1000) -> ErrorsAt:
        """Who met errors at this field, and how its resolver fared."""
        coordinate = coordinate.strip()
        rows = self._ask(queries.ERRORS_AT, coordinate=coordinate, limit=limit)
        errors, requests, total = (rows[0][name] for name in ("errors", "requests", "total")) if rows else (0, 0, 0)
        uses = tuple(
            ClientErrors(
                client=row["client"],
                client_version=row["client_version"],
                operation=row["operation"],
                name=row["name"],
                errors=row["n"],
                requests=row["failed"],
                last_seen=utc(row["last_seen"]),
            )
            for row in rows
        )
        [seen] = self._ask(queries.EXECUTIONS_OF, coordinate=coordinate)
        durations = seen["durations"]
        return ErrorsAt(
            about=self.about,
            coordinate=coordinate,
            errors=errors,
            requests=requests,
            total=total,
            uses=uses,
            executions=FieldExecutions(
                seen["executions"], seen["failed"], seen["seen"], *(quantile(durations, q) for q in (0.5, 0.95, 0.99))
            )
            if seen["seen"]
            else None,
        )

    def schema_use(self) -> SchemaUse:
        """Every element of the newest schema with its use; BadQuestion if no schema was published."""
        if self.schema is None:
            raise BadQuestion(f"no schema of {self._scope.graph} has been published yet: agents publish theirs")
        counted = {
            (Kind(row["kind"]), row["coordinate"]): Counted(row["requests"], row["certain"], utc(row["last_seen"]))
            for row in self._ask(queries.SCHEMA_USE)
        }
        enums = [type_.name for type_, _ in types_of(self.schema.schema) if isinstance(type_, GraphQLEnumType)]
        returned = {row["named_type"] for row in self._ask(queries.ENUMS_RETURNED, enums=enums)}
        return SchemaUse(
            about=self.about,
            schema_version=self.schema.version,
            types=schema_use(self.schema, counted, returned, self.about),
        )

    def requests_over_time(self, steps: int = 60) -> RequestsOverTime:
        """Requests and errors in about `steps` steps, whole buckets each."""
        if not 1 <= steps <= 2000:
            raise BadQuestion("ask for 1 to 2,000 steps")
        since, until, bucket = self.window.since, self.window.until, self.window.bucket
        step = bucket * -(-(until - since) // (bucket * steps))
        rows = self._ask(queries.REQUESTS_OVER_TIME, step=int(step.total_seconds()))
        counts = {row["number"]: (row["n"], row["e"]) for row in rows}
        return RequestsOverTime(
            about=self.about,
            step_seconds=int(step.total_seconds()),
            moments=tuple(
                Moment(since + number * step, *counts.get(number, (0, 0)))
                for number in range(-(-(until - since) // step))
            ),
        )

    def _ask(self, sql: str, **more: Any) -> list[dict[str, Any]]:
        return self._store.query(sql, queries.parameters(self._scope, self.window, **more))


def _who(client: str, client_version: str | None) -> dict[str, Any]:
    return {"client": client, "client_version": client_version or "", "any_version": int(client_version is None)}


def newest(store: Store, scope: Scope) -> Published | None:
    """The newest schema of a graph, as far as the store knows; BadSchema if it can't be built."""
    rows = store.query(queries.NEWEST_SCHEMA, queries.graph_parameters(scope))
    return version(rows[0]["schema_version"], rows[0]["sdl"]) if rows else None


def _use(row: dict[str, Any]) -> Use:
    row = _with_times(row)
    kinds = tuple(sorted(Kind(kind) for kind in row.pop("kinds")))
    states = tuple(str(state.name).lower() for state in State(row.pop("states")) if state)
    return Use(**row, kinds=kinds, states=states)


def _operation(row: dict[str, Any], schema_known: bool) -> OperationTraffic:
    durations = row["durations"]
    return OperationTraffic(
        operation=row["operation"],
        name=row["name"],
        type=row["type"],
        requests=row["n"],
        errors=row["errors"],
        p50=quantile(durations, 0.5),
        p95=quantile(durations, 0.95),
        p99=quantile(durations, 0.99),
        clients=row["clients"],
        first_seen=utc(row["first_seen"]),
        last_seen=utc(row["last_seen"]),
        invalid=bool(row["invalid"]),
        uses_deprecated=bool(row["uses_deprecated"]) if schema_known else None,
    )


def _with_times(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"first_seen": utc(row["first_seen"]), "last_seen": utc(row["last_seen"])}
