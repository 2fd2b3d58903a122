"""A Flask app, watched by the WSGI middleware: flask --app flask_app run --port 8000"""

from types import SimpleNamespace

from flask import Flask, jsonify, request
from graphql import build_schema, graphql_sync

from forebay.agent.integrations.wsgi import Forebay

schema = build_schema('type Query { book(title: String! = "Emma"): String! }')
root = SimpleNamespace(book=lambda info, title: title)
app = Flask(__name__)
app.wsgi_app = Forebay(app.wsgi_app, schema, path="/graphql")


@app.post("/graphql")
def answer():
    asked = request.get_json()
    result = graphql_sync(
        schema,
        asked["query"],
        root,
        variable_values=asked.get("variables"),
        operation_name=asked.get("operationName"),
    )
    return jsonify(result.formatted)
