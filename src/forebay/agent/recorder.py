"""Requests become tallies.

On the request's path a request is noted, with its variables, and nothing is locked: a signal's handler
may flush whatever it interrupts.  The background thread counts 256 at a time, or those of a second: of a
known operation that is a few dictionary lookups and additions.  What is new waits to be analysed; when
too much waits, a request counts at once under a shape that covers nothing.  Values of variables stay in
this process's memory, no longer than that.

Memory is bounded: past the bound tallies become coarser in a fixed order (client versions,
clients, operations).  Whatever happens here, the sum of requests stays exact.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock, RLock
from time import time
from typing import Any, Final, NamedTuple

import msgspec

from ..core.execution import Executions
from ..core.histogram import bucket
from ..core.record import ShapeColumns
from ..core.tally import Count, Key, Tallies, fold
from .client_headers import Headers, client_in
from .extract import Extractor
from .faults import Faults
from .outcomes import Failed, Outcomes, Sample
from .places import Errors, errors_at
from .variants import Variants, not_analysed, storable, weight_of

OVERFLOW: Final = not_analysed("overflow")
"""The shape of requests whose operations were given up for lack of memory."""

TOGETHER: Final = 256
"""Requests counted at once.  Waking the background takes 150 µs, a request then 2 to 3 (measured in a server); the more
are counted at once, the longer their variables are held."""
HELD: Final = 1.0
"""Seconds after which fewer are counted too: each may hold megabytes."""
MOST_RECENT: Final = 1_000
"""Requests not counted yet, past which a request's own thread counts them: the background one does not come to it."""
COUNTED_WITHIN: Final = 0.05  # seconds, that these never take

TALLY_BYTES: Final = 800  # measured: 530, and 20 for each bucket of its histogram
LAST_MINUTE: Final = 2**31  # that a report can hold; a collector knows better than a clock so far off
GIVEN_UP: Final = ("client versions", "clients", "operations")
"""What each level of coarseness gives up, besides those before it."""
COARSEST: Final = len(GIVEN_UP)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the recorder's memory."""

    operations: int = 2_000  # documents known at once; twice as many while one generation replaces another
    known_bytes: int = 16 * 2**20  # what they and their shapes take together, of one generation
    variants: int = 64  # shapes per operation and minute; what exceeds shares one
    queued: int = 10_000  # requests that wait to be analysed
    queued_bytes: int = 8 * 2**20
    memory: int = 32 * 2**20  # bytes of open tallies and the shapes that they name, roughly
    executions: int = 2_000  # coordinates × operations × clients × minutes with errors or sampled executions


class Request(msgspec.Struct, gc=False):
    """One request, as far as it counts; made in half the time that a named tuple takes.

    `source` is None where the document is not known, as of a persisted one: such a request covers
    nothing.  `now` is in seconds since the epoch, `seconds` None where a duration means nothing;
    `headers`, where given, name the client; `validated` and `executed` as in Reporter.record.
    """

    source: str | None
    operation_name: str | None = None
    variables: Mapping[str, Any] | None = None
    client: str = ""
    client_version: str = ""
    status: int = 200
    errors: bool | Errors | Sequence[Any] | None = False
    seconds: float | None = None
    now: float = msgspec.field(default_factory=time)
    validated: bool = False
    executed: bool = False
    executions: Sample | None = None
    headers: Headers | None = None

    @property
    def minute(self) -> int:
        return int(self.now // 60)

    def settle(self) -> None:
        """Keep of errors the paths: exceptions hold frames, which must not live longer than without us."""
        if self.errors is not True and not isinstance(self.errors, Mapping):
            self.errors = errors_at(self.errors) or True


class Taken(NamedTuple):
    """What `take` hands over; the recorder forgets it."""

    tallies: Tallies
    shapes: dict[str, ShapeColumns]  # of every tally, by id
    lost: dict[str, int]
    more: bool  # tallies are left
    executions: Executions


class Counts(NamedTuple):
    """Numbers of requests since the recorder began."""

    recorded: int
    waiting: int  # neither taken nor lost; those that are being analysed at this moment are left out
    lost: dict[str, int]  # by reason
    coarsened: dict[str, int]  # by what was given up; they count all the same


class Recorder:
    """Thread-safe.  `wake` is called when there is work for `analyse`, which a background thread should do.

    The tallies' schema version is left empty: it is the same for all, so the exporter fills it in.
    """

    def __init__(
        self,
        extractor: Callable[[], Extractor],
        faults: Faults,
        wake: Callable[[], None] = lambda: None,
        limits: Limits = Limits(),
    ) -> None:
        self._extractor, self._faults, self._wake, self._limits = extractor, faults, wake, limits
        self._operations: dict[tuple[str, str | None], Variants] = {}
        self._older = self._operations
        self._recent: deque[Request] = deque()
        self._due = 0.0  # time at which they are counted, however few there are
        self._queue: deque[tuple[Request, int]] = deque()
        self._queued_bytes = 0
        self._tallies: Tallies = {}
        self._shapes: dict[str, ShapeColumns] = {}
        self._shape_bytes = 0
        self._level = 0
        self._lost: Counter[str] = Counter()  # not reported yet
        self._ever_lost: Counter[str] = Counter()
        self._coarsened: Counter[str] = Counter()
        self._adding = RLock()  # guards every count; held for moments; a signal may come meanwhile
        self._counting = RLock()  # held while recent requests become counts
        self._working = Lock()  # one thread at a time analyses, coarsens or takes
        self._recorded = 0
        self._outcomes = Outcomes(extractor, faults, wake, limits.executions)

    def record(self, request: Request) -> None:
        """Count one request; never raises."""
        try:
            if request.errors:
                request.settle()
            if request.executions is not None:
                self._executed(request, request.executions)
            self._recent.append(request)
            waiting = len(self._recent)
            if waiting == 1:  # and wakes nobody: a host that forks in C, as uWSGI, after it has loaded an app that
                self._due = request.now + HELD  # recorded, would leave a running thread's lock on Python in children
            elif waiting % TOGETHER == 0 or request.now >= self._due:
                self._wake()
            if waiting >= MOST_RECENT:
                self._count_recent()
        except Exception as exc:
            self._miss(exc)

    def _count_recent(self) -> None:
        # Who takes all must not miss what another thread is counting; but that may stand in a signal's handler, which
        # waits for who takes all.
        held = self._counting.acquire(timeout=COUNTED_WITHIN)
        try:
            with contextlib.suppress(IndexError):
                while True:
                    self._count(self._recent.popleft())
        finally:
            if held:
                self._counting.release()

    def _count(self, request: Request) -> None:
        try:
            self._name(request)
            shape = None
            if request.source is not None:
                variants = self._operations.get((request.source, request.operation_name))
                shape = None if variants is None else self._find(variants, request)
                if shape is None and self._postpone(request):
                    return
            self._add(shape or not_analysed(request.operation_name or ""), request)
        except Exception as exc:
            self._miss(exc)

    def lose(self, reason: str, requests: int, recorded: int = 0) -> None:
        """Count requests as lost; the next report says so.  `recorded`: so many of them were not recorded before."""
        with self._adding:
            self._recorded += recorded
            self._lost[reason] += requests
            self._ever_lost[reason] += requests

    def take_over(self, requests: int, lost: Mapping[str, int]) -> None:
        """Count as recorded what another process left in a report."""
        with self._adding:
            self._recorded += requests + sum(lost.values())
            self._ever_lost.update(lost)

    def analyse(self) -> None:
        """Count what waits, learning what is new; make the tallies coarser where they outgrew their bound."""
        self._count_recent()
        with self._working:
            for _ in range(len(self._queue)):
                request, weight = self._queue.popleft()
                try:
                    self._add(self._shape_of(request), request, first_seen=0)
                except Exception as exc:
                    self._miss(exc, first_seen=0)
                with self._adding:
                    self._queued_bytes -= weight
            self._outcomes.analyse()
            while self._level < COARSEST and self._memory() > self._limits.memory:
                self._coarsen()

    def take(self, limit: int) -> Taken:
        """Hand over at most `limit` tallies, the oldest first, and all losses."""
        self._count_recent()
        with self._working, self._adding:
            lost, self._lost = dict(self._lost), Counter()
            if len(self._tallies) > limit:
                tallies = {key: self._tallies.pop(key) for key in list(islice(self._tallies, limit))}
                shapes = {key[2]: self._shapes[key[2]] for key in tallies}
                self._keep_shapes(self._shapes)
                return Taken(tallies, shapes, lost, True, self._outcomes.take())
            tallies, shapes = self._tallies, self._shapes
            self._tallies, self._shapes, self._shape_bytes, self._level = {}, {}, 0, 0
            return Taken(tallies, shapes, lost, False, self._outcomes.take())

    def copies(self, limit: int) -> Iterator[tuple[Tallies, dict[str, ShapeColumns], dict[str, int], Executions]]:
        """All that `take` would hand over, which stays here: all but the tallies with the first `limit` of those.

        Requests count meanwhile.  What is copied holds each at most once.
        """
        self._count_recent()
        with self._working:
            start = 0
            while True:
                with self._adding:
                    part = islice(self._tallies.items(), start, start + limit)
                    tallies = {key: (held[0], held[1], dict(held[2])) for key, held in part}
                    shapes = {key[2]: self._shapes[key[2]] for key in tallies}
                    lost = {} if start else dict(self._lost)
                executions = {} if start else self._outcomes.copy()
                if not tallies and not lost and not executions:
                    return
                yield tallies, shapes, lost, executions
                start += limit

    def give_back(
        self,
        tallies: Tallies,
        shapes: Mapping[str, ShapeColumns],
        lost: Mapping[str, int],
        executions: Executions | None = None,
    ) -> None:
        """Return what was taken but not reported; it merges with what came since.  Changes `tallies`."""
        self._outcomes.give_back(executions or {})
        with self._adding:
            self._lost.update(lost)
            self._tallies = fold(tallies, self._tallies.items())
            self._keep_shapes({**shapes, **self._shapes})

    def counts(self) -> Counts:
        """What was recorded so far, and what became of it; never waits for an analysis under way."""
        with self._adding:
            recent = len(self._recent)
            waiting = sum(requests for requests, _, _ in self._tallies.values()) + len(self._queue) + recent
            return Counts(self._recorded + recent, waiting, dict(self._ever_lost), dict(+self._coarsened))

    def _add(self, shape: ShapeColumns, request: Request, first_seen: int = 1) -> None:
        """Count one request; `first_seen` is 0 for one that was queued, since that is counted as recorded already.

        What was answered without errors was executed: then it is no use to find that it can't be, as by a host
        that does not validate, and it counts as not analysed.
        """
        counted = shape
        if shape.invalid and (request.executed or (not request.errors and request.status < 400)):
            counted = not_analysed(shape.name)
        minute, duration = request.minute, None if request.seconds is None else bucket(request.seconds)
        key = (minute, "", counted.id, request.client, request.client_version, request.status)
        with self._adding:
            held = self._tallies.get(key)
            if held is None:
                key, held = self._open(key, counted)
            requests, failed, durations = held
            if duration is not None:
                durations[duration] = durations.get(duration, 0) + 1
            self._tallies[key] = (requests + 1, failed + 1 if request.errors else failed, durations)
            self._recorded += first_seen
        if request.errors and isinstance(request.errors, Mapping):  # to ask that of every request takes long
            asked = ("", None) if request.source is None else (request.source, request.operation_name)
            self._fail(*asked, shape, minute, request.client, request.client_version, request.errors)

    def _fail(
        self,
        source: str,
        operation_name: str | None,
        shape: ShapeColumns,
        minute: int,
        client: str,
        client_version: str,
        errors: Errors,
    ) -> None:
        """Count where its errors arose; the request is counted already."""
        try:
            self._outcomes.failed(Failed(source, operation_name, shape.id, minute, client, client_version, errors))
        except Exception as exc:
            self._faults.note("errors", exc)

    def _name(self, request: Request) -> None:
        """Read from its headers who asked."""
        headers, request.headers = request.headers, None
        if headers is not None:
            try:
                request.client, request.client_version = client_in(headers)
            except Exception as exc:
                self._faults.note("client", exc)

    def _executed(self, request: Request, sample: Sample) -> None:
        try:
            self._name(request)
            self._outcomes.executed(request.minute, request.client, request.client_version, sample)
        except Exception as exc:
            self._faults.note("executions", exc)

    def _open(self, key: Key, shape: ShapeColumns) -> tuple[Key, Count]:
        """The tally of a key that has none, as coarse as memory demands."""
        minute, schema_version, shape_id, client, client_version, status = key
        minute = min(max(minute, 0), LAST_MINUTE)
        if not 0 <= status <= 999:
            status = 0
        memory = self._memory()
        level = COARSEST if memory > 2 * self._limits.memory else self._level
        fine = (minute, schema_version, shape_id, storable(client), storable(client_version), status)
        for up_to in range(1, level + 1):
            self._coarsened[GIVEN_UP[up_to - 1]] += _coarser(fine, up_to) != _coarser(fine, up_to - 1)
        if level == COARSEST:
            shape = OVERFLOW
        key = _coarser(fine, level)
        held = self._tallies.get(key)
        if held is not None:
            return key, held
        if shape.id not in self._shapes:
            self._shapes[shape.id] = shape
            self._shape_bytes += weight_of(shape)
        if memory > self._limits.memory and level < COARSEST:
            self._wake()
        return key, (0, 0, {})

    def _postpone(self, request: Request) -> bool:
        """Queue a request of something unknown; False if too much waits already."""
        weight = len(request.source or "") + _weight(request.variables, self._limits.queued_bytes)
        with self._adding:
            full = len(self._queue) >= self._limits.queued or self._queued_bytes + weight > self._limits.queued_bytes
            if full and self._queue:
                return False
            self._queue.append((request, weight))
            self._queued_bytes += weight
            self._recorded += 1
        self._wake()
        return True

    def _shape_of(self, request: Request) -> ShapeColumns:
        try:
            key = (request.source or "", request.operation_name)
            variants = self._operations.get(key)
            if variants is None:
                variants = self._older.get(key) or self._analysed(*key, request.validated)
                self._remember(key, variants)
            shape = variants.find(request.variables, request.minute)
            if shape is None:
                shape = variants.learn(request.variables)
                self._remember(key, variants)
            return shape
        except Exception as exc:
            self._faults.note("analysis", exc)
            return not_analysed(request.operation_name or "")

    def _analysed(self, source: str, operation_name: str | None, validated: bool) -> Variants:
        operation = self._extractor().operation(source, operation_name, validated=validated)
        return Variants(operation, self._limits.variants, len(source))

    def _find(self, variants: Variants, request: Request) -> ShapeColumns | None:
        try:
            return variants.find(request.variables, request.minute)
        except Exception as exc:
            self._faults.note("analysis", exc)
            return not_analysed(request.operation_name or "")

    def _miss(self, exc: Exception, first_seen: int = 1) -> None:
        """A request that could not be counted is lost, and its loss is counted."""
        self._faults.note("record", exc)
        self.lose("agent_error", 1, recorded=first_seen)

    def _keep_shapes(self, shapes: Mapping[str, ShapeColumns]) -> None:
        self._shapes = {key[2]: shapes[key[2]] for key in self._tallies}
        self._shape_bytes = sum(map(weight_of, self._shapes.values()))

    def _remember(self, key: tuple[str, str | None], variants: Variants) -> None:
        """Keep the operations that were asked for since the last generation began."""
        self._operations[key] = variants
        weight = sum(known.weight for known in self._operations.values())
        if len(self._operations) > self._limits.operations or weight > self._limits.known_bytes:
            self._older, self._operations = self._operations, {key: variants}

    def _memory(self) -> int:
        return len(self._tallies) * TALLY_BYTES + self._shape_bytes

    def _coarsen(self) -> None:
        """Go one level coarser.  Requests keep counting meanwhile, into an empty dictionary."""
        with self._adding:
            self._level += 1
            level, tallies, self._tallies = self._level, self._tallies, {}
            shapes, self._shapes = self._shapes, {}
            changed = (count[0] for key, count in tallies.items() if _coarser(key, level) != key)
            self._coarsened[GIVEN_UP[level - 1]] += sum(changed)
        coarser = fold({}, ((_coarser(key, level), count) for key, count in tallies.items()))
        self.give_back(coarser, {OVERFLOW.id: OVERFLOW} if level == COARSEST else shapes, {})


def _coarser(key: Key, level: int) -> Key:
    minute, schema_version, shape, client, client_version, status = key
    return (
        minute,
        schema_version,
        OVERFLOW.id if level >= 3 else shape,
        "" if level >= 2 else client,
        "" if level >= 1 else client_version,
        status,
    )


def _weight(value: object, enough: int) -> int:
    """About how many bytes a value takes; counting stops once it is enough."""
    total, waiting = 0, [value]
    while waiting and total <= enough:
        item = waiting.pop()
        total += 64
        if isinstance(item, str | bytes):
            total += len(item)
        elif isinstance(item, Mapping):
            total += 64 * len(item)
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            total += 8 * len(item)
            waiting.extend(item)
    return total
