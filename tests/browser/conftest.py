"""A real browser in front of a real server; without a browser these tests fail, they are not skipped."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.pipeline import free_port
from granian.constants import Interfaces
from granian.server.embed import Server
from playwright.sync_api import Browser, Page, sync_playwright
from starlette.applications import Starlette
from world import World, database

from forebay.console.app import routes
from forebay.console.gate import Gate
from forebay.store.clickhouse import ClickHouse

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")  # its event loop would be in the way of other tests' own
def browser() -> Iterator[Browser]:
    executable = os.environ.get("FOREBAY_BROWSER") or shutil.which("chromium")
    assert executable, "no browser: install chromium, or name one in FOREBAY_BROWSER"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def world(store: ClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A week of traffic of an app, a site with a nasty name, and a client without a name."""
    path: Path = tmp_path_factory.mktemp("browser") / "journal.sqlite"
    world = World(database(store, "browser"), path, "acme")
    world.publish()
    world.start()
    profile = "query Profile($id: ID!) { user(id: $id) { id email nick role } }"
    for day in range(7):
        world.request(profile, 100, "Android App", "1.3.4", {"id": "1"}, errors=2, ago=day * 86_400 + 600)
    world.request("{ users(role: ADMIN) { name } }", 40, "<script>document.title='owned'</script>", "1")
    world.request("{ node(id: 1) { id } }", 5, "", "")
    world.load()
    yield world
    world.close()


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    """The console as it runs in production: granian, on loopback."""
    port = free_port()
    app = Starlette(routes=routes(world.insights, Gate(None)))
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve()), daemon=True)
    thread.start()
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    loop.call_soon_threadsafe(server.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A fresh tab; whatever the browser complains about fails the test: scripts, policies, missing files."""
    context = browser.new_context(base_url=address)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    yield page
    context.close()
    assert complaints == []
