"""The front's process: `python -m front.server PATH PORT`.

As much of ClickHouse's HTTP interface as clients of the store need: ping, statements by GET and
POST, parameters, settings, compression both ways, exceptions with code and status.  POST and
DELETE on /faults switch faults on and off.  It answers when the engine has finished, as a server
does with `wait_end_of_query=1`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import lz4.frame
import zstandard

from .engine import Engine, EngineError, Result
from .faults import Fault, Faults, Kind

DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.decompress,
    "lz4": lambda body: lz4.frame.open(io.BytesIO(body)).read(),  # one frame for each block
    "zstd": lambda body: zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True).read(),
}
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lz4.frame.compress,
    "zstd": lambda body: zstandard.ZstdCompressor().compress(body),
    "gzip": gzip.compress,
}
STATUS = {46: 404, 47: 404, 60: 404, 62: 400, 81: 404, 115: 404, 159: 408, 209: 503, 516: 403}
"""HTTP status of the exceptions that a server does not answer with 500."""


class Executing:
    """Statements under way.  SIGKILL in the midst of one may lose its rows (decision 13): that is another fault."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now = 0
        self._ending = False

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._ending)
            self._now += 1
        try:
            yield
        finally:
            with self._changed:
                self._now -= 1
                self._changed.notify_all()

    def end(self) -> None:
        """SIGKILL of this process, when what is under way is done."""
        with self._changed:
            self._ending = True
            self._changed.wait_for(lambda: not self._now)
            os.kill(os.getpid(), signal.SIGKILL)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine: Engine
    faults: Faults
    executing: Executing

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            return self._send(200, b"Ok.\n", {})
        if urlsplit(self.path).path == "/faults":
            return self._send(200, str(self.faults.pending()).encode(), {})
        return self._statement(b"")

    def do_POST(self) -> None:
        body = DECODERS[self.headers.get("Content-Encoding", "")](self._body())
        if urlsplit(self.path).path == "/faults":
            self.faults.add(Fault.from_json(json.loads(body)))
            return self._send(200, b"", {})
        return self._statement(body)

    def do_DELETE(self) -> None:
        self.faults.clear()
        self._send(200, b"", {})

    def _statement(self, body: bytes) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        statement = b"\n".join(filter(None, (parameters.get("query", "").encode(), body)))
        headers = {
            "X-ClickHouse-Query-Id": parameters.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Server-Display-Name": "front",
            "X-ClickHouse-Timezone": self.engine.timezone,
        }
        fault = self.faults.next(insert=re.match(rb"\s*INSERT\b", statement, re.IGNORECASE) is not None)
        kind = fault.kind if fault else None
        try:
            if fault and self._befalls(fault, headers):
                return
            with self.executing.one():
                result = self.engine.execute(statement, parameters)
            if kind is Kind.KILL_AFTER:
                self.executing.end()
            if kind is Kind.CUT_AFTER:
                self._cut()
            else:
                self._answer(result, parameters, headers)
        except EngineError as exc:
            self._refuse(exc, headers)

    def _befalls(self, fault: Fault, headers: dict[str, str]) -> bool:
        """What the fault does before executing; True if that was all."""
        match fault.kind:
            case Kind.SLOW:
                time.sleep(fault.value)
            case Kind.STATUS:
                self._send(int(fault.value), b"no server to be had", {})
                return True
            case Kind.EXCEPTION:
                message = f"Code: {fault.value:.0f}. DB::Exception: made to fail. (MADE_TO_FAIL)"
                self._refuse(EngineError(int(fault.value), message), headers)
                return True
            case Kind.CUT_BEFORE:
                self._cut()
                return True
            case Kind.KILL_BEFORE:
                self.executing.end()
        return False

    def _answer(self, result: Result, parameters: dict[str, str], headers: dict[str, str]) -> None:
        body = result.body
        summary = {"read_rows": str(result.rows), "elapsed_ns": str(int(result.seconds * 1e9))}
        headers["X-ClickHouse-Summary"] = json.dumps(summary)
        if body:
            headers["X-ClickHouse-Format"] = result.format
        accepted = self.headers.get("Accept-Encoding", "").replace(" ", "").split(",")
        encoding = next((name for name in ENCODERS if name in accepted), None)
        if body and encoding and parameters.get("enable_http_compression") == "1":
            body = ENCODERS[encoding](body)
            headers["Content-Encoding"] = encoding
        self._send(200, body, headers)

    def _refuse(self, exc: EngineError, headers: dict[str, str]) -> None:
        headers["X-ClickHouse-Exception-Code"] = str(exc.code)
        self._send(STATUS.get(exc.code, 500), f"{exc}\n".encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        """No answer, and the end of the connection."""
        self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: tests look at answers."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what the tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # the stubs want a socket


def main(path: str, port: int) -> None:
    Handler.engine = Engine(path)
    Handler.faults = Faults()
    Handler.executing = Executing()
    server = Server(("127.0.0.1", port), Handler)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
