"""The Graphene integration, on the newest Graphene: it needs another graphql-core than this environment's."""

from __future__ import annotations

import frameworks


def test_graphene_is_reported_as_its_cases_say() -> None:
    assert frameworks.GRAPHENE.exists(), "run `make graphene`, which installs it"
    cases = frameworks.run(frameworks.GRAPHENE, *frameworks.TESTS["graphene"], capture_output=True)
    assert cases.returncode == 0, cases.stdout + cases.stderr


def test_a_check_gives_the_same_answers_on_its_graphql_core() -> None:
    assert frameworks.GRAPHENE.exists(), "run `make graphene`, which installs it"
    cases = frameworks.run(frameworks.GRAPHENE, *frameworks.ON_CORE_3_2, capture_output=True)
    assert cases.returncode == 0, cases.stdout + cases.stderr
