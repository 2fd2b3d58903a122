"""A proxy before a real collector that is away, slow, in the way or deaf, as it is told."""

from __future__ import annotations

import http.client
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from served import Handler, served

HTML = b"<html><body>Something is in the way</body></html>"
SMALL = 2_000
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "429": (429, {"Retry-After": "0.3"}, HTML),
    "503": (503, {"Retry-After": "0.3"}, HTML),
    "404": (404, {}, HTML),
    "200": (200, {}, HTML),
    "wrong JSON": (200, {}, b'{"accepted": "perhaps"}'),
}


class Proxy:
    """`fault`: a key of ANSWERS, or

    away (closes at once), slow (a second for each), cut (passes it on, and closes without an answer),
    half (reads half of the body, and closes), garbage (answers what is no HTTP), small (413 for
    bodies of more than SMALL bytes), or nothing.
    """

    def __init__(self, port: int) -> None:
        self.port = port  # the collector's
        self.fault = ""
        self.seen: Counter[tuple[str, int]] = Counter()  # fault → status that was answered, 0 if none
        self.bodies: list[tuple[float, bytes]] = []  # when they came
        self.url = ""

    def meets(self, fault: str, times: int = 1) -> None:
        """Until a report has met this fault so often, and then another one has passed."""
        self.fault = fault
        self.until(lambda: sum(count for (met, _), count in self.seen.items() if met == fault), times)
        self.fault = ""
        self.until(lambda: self.seen["", 200], 1)

    def until(self, count: Callable[[], int], more: int) -> None:
        """Until there are so many more than now."""
        enough, deadline = count() + more, time.monotonic() + 60
        while count() < enough:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@contextmanager
def faulty_proxy(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)

    class Passing(Handler):
        def do_POST(self) -> None:
            fault, length = proxy.fault, int(self.headers["Content-Length"])
            if fault == "away":
                return self.hang_up(fault)
            body = self.rfile.read(length // 2 if fault == "half" else length)
            if fault == "half":
                return self.hang_up(fault)
            proxy.bodies.append((time.time(), body))
            if fault == "garbage":
                self.wfile.write(b"\x16\x03\x01 this is something else\r\n\r\n")
                return self.hang_up(fault)
            if fault == "small" and length > SMALL:
                return self.tell(fault, 413, {}, HTML)
            if fault in ANSWERS:
                return self.tell(fault, *ANSWERS[fault])
            if fault == "slow":
                time.sleep(1.2)
            try:
                status, headers, said = self.passed_on(body)
            except (OSError, http.client.HTTPException):
                return self.tell(fault, 502, {}, HTML)
            if fault == "cut":
                return self.hang_up(fault)
            return self.tell(fault, status, headers, said)

        def passed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
            try:
                connection.request("POST", self.path, body, dict(self.headers.items()))
                answer = connection.getresponse()
                kept = {name: value for name, value in answer.getheaders() if name.lower() == "retry-after"}
                return answer.status, kept, answer.read()
            finally:
                connection.close()

        def tell(self, fault: str, status: int, headers: dict[str, str], body: bytes) -> None:
            proxy.seen[fault, status] += 1
            with suppress(OSError):  # the host may have given up
                self.answer(status, headers, body)

        def hang_up(self, fault: str) -> None:
            proxy.seen[fault, 0] += 1
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    with served(Passing) as proxy.url:
        yield proxy
