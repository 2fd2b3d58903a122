"""An Ariadne server that reports its usage: granian --interface asgi --port 8000 ariadne_app:app"""

from ariadne import QueryType, make_executable_schema
from ariadne.asgi import GraphQL

from forebay.agent.integrations.ariadne import Forebay

query = QueryType()


@query.field("book")
def book(*_: object, title: str) -> str:
    return title


schema = make_executable_schema('type Query { book(title: String! = "Emma"): String! }', query)
forebay = Forebay(schema)
app = GraphQL(schema, **forebay.hooks)
