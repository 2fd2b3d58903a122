"""graphql-core behind the standard library that reports its usage: python graphql_core_app.py 8000"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

from graphql import build_schema

from forebay.agent.integrations.graphql_core import Forebay

schema = build_schema('type Query { book(title: String! = "Emma"): String! }')
root = SimpleNamespace(book=lambda info, title: title)
forebay = Forebay()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        result = forebay.graphql_sync(  # in place of graphql.graphql_sync
            schema,
            asked["query"],
            root,
            context_value={"request": self},
            variable_values=asked.get("variables"),
            operation_name=asked.get("operationName"),
        )
        body = json.dumps(result.formatted).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
