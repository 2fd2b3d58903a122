"""A Graphene schema behind Flask that reports its usage: flask --app graphene_app run --port 8000"""

import graphene
from flask import Flask, jsonify, request

from forebay.agent.integrations.graphene import Forebay


class Query(graphene.ObjectType):
    book = graphene.String(required=True, title=graphene.String(default_value="Emma"))

    def resolve_book(self, info, title):
        return title


schema = Forebay().watch(graphene.Schema(query=Query))
app = Flask(__name__)


@app.post("/graphql")
def graphql():
    asked = request.get_json()
    result = schema.execute(
        asked["query"],
        variables=asked.get("variables"),
        operation_name=asked.get("operationName"),
        context={"request": request},
    )
    return jsonify(result.formatted)
