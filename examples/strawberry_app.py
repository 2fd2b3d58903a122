"""A Strawberry server that reports its usage: granian --interface asgi --port 8000 strawberry_app:app"""

import strawberry
from strawberry.asgi import GraphQL

from forebay.agent.integrations.strawberry import Forebay


@strawberry.type
class Query:
    @strawberry.field
    def book(self, title: str = "Emma") -> str:
        return title


app = GraphQL(strawberry.Schema(Query, extensions=[Forebay()]))
