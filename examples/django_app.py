"""A Django app, watched by the WSGI middleware: python django_app.py runserver 8000 --noreload"""

import json
import sys
from types import SimpleNamespace

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from graphql import build_schema, graphql_sync

from forebay.agent.integrations.wsgi import Forebay

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, WSGI_APPLICATION=f"{__name__}.application")
schema = build_schema('type Query { book(title: String! = "Emma"): String! }')
root = SimpleNamespace(book=lambda info, title: title)


@csrf_exempt
def answer(request):
    asked = json.loads(request.body)
    result = graphql_sync(
        schema,
        asked["query"],
        root,
        variable_values=asked.get("variables"),
        operation_name=asked.get("operationName"),
    )
    return JsonResponse(result.formatted)


urlpatterns = [path("graphql", answer)]
application = Forebay(get_wsgi_application(), schema, path="/graphql")

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
