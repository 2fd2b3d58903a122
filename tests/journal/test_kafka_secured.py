"""A broker behind TLS, SASL and access lists: with the right options all works, with wrong ones a line says why."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AclBinding, AclPermissionType
from confluent_kafka.admin import AclOperation as Op
from confluent_kafka.admin import ResourcePatternType as Pattern
from confluent_kafka.admin import ResourceType as Kind
from kafka.broker import QUICK, SESSION
from kafka.local_kafka import Cluster
from polling import Follower

from forebay.core.record import SHAPES, TALLIES, TOPICS
from forebay.errors import RetryLater, Stop
from forebay.journal.kafka import KafkaJournal
from forebay.journal.kafka_topics import admin, apply
from forebay.journal.port import Message, Partition
from forebay.journal.topics import plan
from forebay.settings import KafkaSettings

STORE_PASSWORD = "changeit"
USERS = ("admin", "forebay", "collector", "loader", "console", "stranger")
GROUP = "forebay-loader"
TOPIC = (Kind.TOPIC, TOPICS)
IN_GROUP = (Kind.GROUP, (GROUP,))
READER = (Kind.GROUP, ("forebay-reader",))
RIGHTS: dict[str, dict[tuple[Kind, tuple[str, ...]], set[Op]]] = {
    "collector": {TOPIC: {Op.WRITE, Op.DESCRIBE}},
    "loader": {TOPIC: {Op.READ, Op.DESCRIBE}, IN_GROUP: {Op.READ}},
    "console": {TOPIC: {Op.READ, Op.DESCRIBE, Op.DESCRIBE_CONFIGS}, IN_GROUP: {Op.DESCRIBE}, READER: {Op.DESCRIBE}},
    "stranger": {TOPIC: {Op.READ}},
}
"""The least that each needs, as `docs/operating.md` says."""


class Secured:
    """A cluster of one broker that lets in `USERS` over TLS; the first two may do everything."""

    def __init__(self, folder: Path) -> None:
        store, self.certificate = folder / "broker.p12", folder / "broker.pem"
        keytool = ["keytool", "-alias", "broker", "-keystore", str(store), "-storepass", STORE_PASSWORD]
        names = ["-dname", "CN=broker", "-ext", "san=ip:127.0.0.1"]
        subprocess.run([*keytool, "-genkeypair", "-keyalg", "RSA", *names], check=True, capture_output=True)
        subprocess.run(
            [*keytool, "-exportcert", "-rfc", "-file", str(self.certificate)], check=True, capture_output=True
        )
        users = " ".join(f'user_{name}="{name}-secret"' for name in USERS)
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        secured = {
            "listener.security.protocol.map": "BROKER:SASL_SSL,CONTROLLER:PLAINTEXT",
            "ssl.keystore.location": str(store),
            "ssl.keystore.password": STORE_PASSWORD,
            "ssl.truststore.location": str(store),
            "ssl.truststore.password": STORE_PASSWORD,
            "sasl.enabled.mechanisms": "PLAIN",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "listener.name.broker.plain.sasl.jaas.config": (
                f'{plain} required username="admin" password="admin-secret" {users};'
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:admin;User:forebay;User:ANONYMOUS",  # the controller's own listener knows no names
        }
        self.cluster = Cluster.create(folder / "kafka", config=QUICK | secured)
        self.cluster.start()

    def options(self, user: str = "forebay", **changed: Any) -> dict[str, Any]:
        options = {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.certificate),
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": f"{user}-secret",
        }
        return options | changed

    def settings(self, options: dict[str, Any], delivery: float = 5) -> KafkaSettings:
        return KafkaSettings(
            brokers=self.cluster.bootstrap,
            options=json.dumps(options),
            session=SESSION,
            delivery=delivery,
            partitions=1,
            replicas=1,
            in_sync=1,
        )


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    secured = Secured(tmp_path_factory.mktemp("secured"))
    settings = secured.settings(secured.options())
    with admin(settings) as client:
        apply(client, plan(settings))
        granted = [
            AclBinding(kind, name, Pattern.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
            for user, rights in RIGHTS.items()
            for (kind, names), operations in rights.items()
            for name in names
            for operation in operations
        ]
        for answer in client.create_acls(granted).values():
            answer.result()
    yield secured
    secured.cluster.remove()


def test_over_tls_and_with_a_password_records_are_appended_and_a_group_reads_them(secured: Secured) -> None:
    with closing(KafkaJournal(secured.settings(secured.options()), TOPICS)) as journal:
        journal.append([Message(TALLIES, "key", b"taken")]).result(timeout=30)
        follower = Follower(journal.consumer("secured", [TALLIES]))
        follower.until(lambda: bool(follower.seen.records))
        [[record]] = follower.seen.records.values()
        assert record.value == b"taken"
        follower.consumer.commit(Partition(TALLIES, 0), 1, "m")
        follower.consumer.close()
        assert journal.committed("secured", Partition(TALLIES, 0)) == (1, "m")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sasl.password": "wrong"}, "[Aa]uthentication failed"),
        ({"ssl.ca.location": None}, "certificate"),
        ({"security.protocol": "PLAINTEXT"}, "Disconnected|brokers are down"),
    ],
)
def test_who_is_not_let_in_is_told_why(secured: Secured, changed: dict[str, Any], words: str) -> None:
    options = {name: value for name, value in secured.options(**changed).items() if value is not None}
    with closing(KafkaJournal(secured.settings(options, delivery=1), TOPICS)) as journal:
        with pytest.raises(RetryLater, match=words):
            journal.append([Message(TALLIES, "key", b"refused")]).result(timeout=30)
        with pytest.raises((RetryLater, Stop), match=words):
            journal.partitions(TALLIES)


def test_who_may_not_append_is_told_so(secured: Secured) -> None:
    with closing(KafkaJournal(secured.settings(secured.options("stranger")), TOPICS)) as journal:
        with pytest.raises(RetryLater, match=r"[Aa]uthorization failed"):
            journal.append([Message(TALLIES, "key", b"refused")]).result(timeout=30)
        with pytest.raises(Stop, match=r"[Aa]uthorization failed"):
            journal.committed(GROUP, Partition(TALLIES, 0))


def test_each_process_needs_no_more_rights_than_the_documentation_says(secured: Secured) -> None:
    with ExitStack() as stack:
        collector, loader, console = (
            stack.enter_context(closing(KafkaJournal(secured.settings(secured.options(user)), TOPICS)))
            for user in ("collector", "loader", "console")
        )
        collector.append([Message(SHAPES, "key", b"shape"), Message(TALLIES, "key", b"tally")]).result(timeout=30)
        follower = Follower(loader.consumer(GROUP, TOPICS))
        here = Partition(SHAPES, 0)
        [record] = follower.records(here)
        follower.consumer.commit(here, record.offset + 1, "m")
        follower.consumer.close()
        assert console.committed(GROUP, here) == (record.offset + 1, "m")
        assert console.retention(SHAPES).seconds == KafkaSettings().retention
        assert [found.value for found in console.read(here, record.offset, 1)] == [b"shape"]
        assert console.topic_id(SHAPES) == loader.topic_id(SHAPES)
