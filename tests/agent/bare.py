"""What a bare install does: run by test_bare_install.py, with the collector's URL, in an environment of its own."""

import asyncio
import importlib
import sys

from graphql import build_schema

from forebay.agent.integrations import asgi, graphql_core, wsgi
from forebay.agent.reporter import Reporter

for name in ("aiohttp", "ariadne", "graphene", "strawberry"):
    try:
        importlib.import_module(f"forebay.agent.integrations.{name}")
    except ImportError as exc:
        print(exc)

schema = build_schema("type Query { a: Int }")
reporter = Reporter(schema, sys.argv[1], "token", interval=60)
reporter.record("query Own { a }", client="web")
assert reporter.close()

forebay = graphql_core.Forebay(sys.argv[1], "token", interval=60)
assert asyncio.run(forebay.graphql(schema, "query Core { a }")).errors is None
assert forebay.close()

assert asgi.Forebay(lambda *_: asyncio.sleep(0), schema, sys.argv[1], "token")
assert wsgi.Forebay(lambda *_: [], schema, sys.argv[1], "token")
print(sorted({module.partition(".")[0] for module in sys.modules} - set(sys.stdlib_module_names)))
