"""Persisted documents are found by the names that clients give them."""

from __future__ import annotations

import hashlib

from forebay.agent.http_request import Asked
from forebay.agent.persisted import LIMIT, Documents


def named(name: str, source: str | None = None) -> Asked:
    return Asked(source, document=name)


def hash_of(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def test_a_document_is_learned_when_it_is_registered() -> None:
    documents, digest = Documents(), hash_of("{ a }")
    assert documents.source(named(digest)) is None
    assert documents.source(named(digest, "{ a }")) == "{ a }"
    assert documents.source(named(digest)) == "{ a }"
    assert len(documents) == 1


def test_a_document_is_not_learned_under_another_ones_hash_or_a_name() -> None:
    documents = Documents()
    for name in (hash_of("{ a }"), "mine", ""):
        assert documents.source(named(name, "{ b }")) == "{ b }"
        assert documents.source(named(name)) is None
    assert len(documents) == 0


def test_what_names_none_is_what_it_is() -> None:
    documents = Documents({"": "{ a }"})
    assert [documents.source(Asked(source)) for source in ("{ b }", "", None)] == ["{ b }", "", None]


def test_a_list_of_the_hosts_own_is_looked_up() -> None:
    documents = Documents({"list/7": "{ a }", f"sha256:{hash_of('{ b }')}": "{ b }"})
    assert documents.source(named("list/7")) == "{ a }"
    assert documents.source(named(hash_of("{ b }"))) == "{ b }"
    assert documents.source(named("list/8")) is None


def test_learned_documents_take_bounded_memory_and_what_is_asked_for_stays() -> None:
    documents, size = Documents(), LIMIT // 16
    assert documents.source(named(hash_of("{ a }"), "{ a }"))
    for number in range(60):
        source = f"{number:0{size}}"
        documents.source(named(hash_of(source), source))
        assert documents.source(named(hash_of("{ a }"))) == "{ a }"
        assert len(documents) <= 18
