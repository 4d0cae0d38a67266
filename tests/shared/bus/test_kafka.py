"""What the log on Kafka promises beyond the contract."""

import asyncio
import gc
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.shared.bus import BusUnavailable
from services.shared.bus.kafka import KafkaBus, KafkaSecurity, KafkaTimes
from services.shared.clock import SystemClock
from services.shared.errors import SetupError
from services.shared.events import TOPICS
from tests.components.kafka import SCRIPT, Broker
from tests.components.waiting import PATIENCE, eventually
from tests.contract.bus.readers import Reader, Store, new_key, numbered, values
from tests.contract.bus.stands import FAST, collect, has_joined, new_group

HASTY = KafkaTimes(session=1.5, heartbeat=0.2, answer=1.0, publish=1.0, close=1.0)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = Store()
    yield made
    made.close()


@pytest.fixture
async def bus(kafka: Broker, kafka_prefix: str) -> AsyncIterator[KafkaBus]:
    made = KafkaBus(kafka.bootstrap, SystemClock(), prefix=kafka_prefix, times=FAST)
    yield made
    await made.close()


class OwnBroker:
    """A broker that a test may stop, in a folder of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "KAFKA_DEV_DIR": str(folder),
            "KAFKA_DEV_PORT": "0",
            "KAFKA_DEV_OWNER": str(os.getpid()),
            **settings,
        }
        self.bootstrap = self._script("start")

    def _script(self, command: str) -> str:
        done = subprocess.run(
            [SCRIPT, command], env=self._environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def signal(self, number: signal.Signals) -> None:
        os.kill(int((self._folder / "node1" / "pid").read_text()), number)

    def clean(self) -> None:
        self._script("clean")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[OwnBroker]:
    made = OwnBroker(tmp_path / "broker")
    yield made
    made.signal(signal.SIGCONT)
    made.clean()


@pytest.mark.needs_kafka
class TestTopics:
    async def test_they_are_made_as_the_table_says(
        self, bus: KafkaBus, kafka: Broker, kafka_prefix: str
    ) -> None:
        await bus.start(list(TOPICS))
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        asked = [ConfigResource(ConfigResourceType.TOPIC, kafka_prefix + name) for name in TOPICS]
        (answer,) = await admin.describe_configs(asked)
        await admin.close()
        for _, _, _, name, settings in answer.resources:
            said = {setting[0]: setting[1] for setting in settings}
            expected = TOPICS[name.removeprefix(kafka_prefix)].kafka_config()
            assert {key: said[key] for key in expected} == expected

    async def test_another_number_of_partitions_is_refused(
        self, bus: KafkaBus, kafka: Broker, kafka_prefix: str
    ) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        other = f"{kafka_prefix}other-"
        await admin.create_topics([NewTopic(f"{other}leads", 3, 1)])
        await admin.close()
        crooked = KafkaBus(kafka.bootstrap, SystemClock(), prefix=other, times=FAST)
        with pytest.raises(SetupError, match="3 partitions"):
            await crooked.start(["leads"])
        await crooked.close()

    async def test_more_copies_than_brokers_is_unavailable(
        self, kafka: Broker, kafka_prefix: str
    ) -> None:
        bus = KafkaBus(
            kafka.bootstrap, SystemClock(), prefix=f"{kafka_prefix}copies-", replication=3
        )
        with pytest.raises(BusUnavailable, match="can't be created"):
            await bus.start(["leads"])
        await bus.close()


@pytest.mark.needs_kafka
async def test_what_strangers_wrote_is_read_too(
    bus: KafkaBus, kafka: Broker, kafka_prefix: str, store: Store
) -> None:
    await bus.start(["leads"])
    store.put(await bus.ends(["leads"]))
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    await producer.send_and_wait(
        f"{kafka_prefix}leads", b"v", headers=[("a", None), ("b", b"\xff")]
    )
    await producer.stop()
    reader = Reader(store)
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    (record,) = await collect(member, reader, bool)
    assert (record.key, record.value) == ("", b"v")
    assert record.headers == (("a", ""), ("b", "�"))


@pytest.mark.needs_kafka
async def test_who_closes_hands_over_long_before_its_session_ends(
    kafka: Broker, kafka_prefix: str, store: Store
) -> None:
    patient = KafkaTimes(session=600.0, heartbeat=0.2)
    bus = KafkaBus(kafka.bootstrap, SystemClock(), prefix=kafka_prefix, times=patient)
    await bus.start(["leads"])
    store.put(await bus.ends(["leads"]))
    group = new_group()
    members = [
        await bus.subscribe(group, name, ["leads"], Reader(store).positions) for name in "ab"
    ]
    everything = await has_joined(*members)
    await members[0].close()
    await eventually(lambda: members[1].assigned() == everything, "the other reads all")
    await bus.close()


class TestOutage:
    async def test_without_a_broker_start_fails_soon_and_close_works(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        bus = KafkaBus(f"127.0.0.1:{port}", SystemClock(), times=HASTY)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(BusUnavailable):
                await bus.start(["leads"])
            await bus.close()

    @pytest.mark.needs_kafka
    async def test_a_frozen_broker_fails_what_asks_and_nothing_is_lost(
        self, broker: OwnBroker, store: Store
    ) -> None:
        bus, key = KafkaBus(broker.bootstrap, SystemClock(), times=HASTY), new_key()
        await bus.start(["leads"])
        store.put(await bus.ends(["leads"]))
        reader = Reader(store)
        member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
        await has_joined(member)
        broker.signal(signal.SIGSTOP)
        for number in range(3):
            with pytest.raises(BusUnavailable):
                await bus.publish(numbered("leads", key, 2))
            assert await member.fetch(10, 0.1) == [], number
        with pytest.raises(BusUnavailable):
            await bus.ends(["leads"])
        broker.signal(signal.SIGCONT)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await bus.publish(numbered("leads", key, 3))
                    break
                except BusUnavailable:
                    await asyncio.sleep(0.05)
        records = await collect(member, reader, lambda found: 2 in values(found, key))
        assert list(dict.fromkeys(values(records, key))) == [0, 1, 2]
        await bus.close()

    @pytest.mark.needs_kafka
    async def test_closing_is_bounded_and_leaves_no_task_while_the_broker_is_frozen(
        self, broker: OwnBroker, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = asyncio.all_tasks()
        bus = KafkaBus(broker.bootstrap, SystemClock(), times=HASTY)
        await bus.start(["leads"])
        store.put(await bus.ends(["leads"]))
        member = await bus.subscribe(new_group(), "a", ["leads"], Reader(store).positions)
        await has_joined(member)
        broker.signal(signal.SIGSTOP)
        saying = asyncio.ensure_future(bus.publish(numbered("leads", "k", 5)))
        waiting = asyncio.ensure_future(member.fetch(10, 600.0))
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await bus.close()
            outcomes = await asyncio.gather(saying, waiting, return_exceptions=True)
        assert isinstance(outcomes[0], BusUnavailable)
        assert outcomes[1] == []
        assert asyncio.all_tasks() <= before
        gc.collect()
        assert "never retrieved" not in caplog.text


class TestSecurity:
    def test_secrets_are_not_shown(self) -> None:
        shown = repr(KafkaSecurity(username="u", password="hidden-1", key_password="hidden-2"))
        assert "hidden" not in shown

    def test_certificates_that_can_not_be_read_are_an_error_of_the_setup(self) -> None:
        with pytest.raises(SetupError, match="certificates"):
            KafkaSecurity("SSL", ca=Path("/nowhere/ca.pem")).settings()

    def test_plain_text_asks_for_nothing(self) -> None:
        assert KafkaSecurity().settings() == {"security_protocol": "PLAINTEXT"}

    @pytest.mark.needs_kafka
    async def test_a_broker_with_tls_and_passwords(self, tmp_path: Path, store: Store) -> None:
        broker = await asyncio.to_thread(_secured, tmp_path)
        try:
            security = KafkaSecurity(
                "SASL_SSL",
                ca=tmp_path / "ca.pem",
                mechanism="PLAIN",
                username="baitwell",
                password="right",
            )
            bus = KafkaBus(broker.bootstrap, SystemClock(), security=security, times=FAST)
            await bus.start(["leads"])
            store.put(await bus.ends(["leads"]))
            reader = Reader(store)
            member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
            await bus.publish(numbered("leads", "k", 3))
            records = await collect(member, reader, lambda found: len(found) >= 3)
            assert values(records, "k") == [0, 1, 2]
            await bus.close()

            wrong = KafkaSecurity(
                "SASL_SSL", tmp_path / "ca.pem", mechanism="PLAIN", username="u", password="no"
            )
            stranger = KafkaBus(broker.bootstrap, SystemClock(), security=wrong, times=FAST)
            with pytest.raises(BusUnavailable):
                await stranger.start(["leads"])
            await stranger.close()
        finally:
            await asyncio.to_thread(broker.clean)


def _secured(folder: Path) -> OwnBroker:
    """A broker that takes only TLS with a certificate of its own and a name with a password."""
    store = folder / "broker.p12"
    home = os.environ.get("JAVA_HOME")
    keytool = str(Path(home) / "bin" / "keytool") if home else shutil.which("keytool")
    common = ["-alias", "broker", "-keystore", str(store), "-storepass", "changeit"]
    for arguments in (
        [
            *("-genkeypair", "-keyalg", "EC", "-storetype", "PKCS12", "-validity", "2"),
            *("-dname", "CN=broker", "-ext", "san=ip:127.0.0.1"),
        ],
        ["-exportcert", "-rfc", "-file", str(folder / "ca.pem")],
    ):
        subprocess.run([str(keytool), *arguments, *common], check=True, capture_output=True)
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    extra = folder / "extra.properties"
    extra.write_text(
        "listener.security.protocol.map=PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT\n"
        "listener.name.plaintext.sasl.enabled.mechanisms=PLAIN\n"
        "sasl.mechanism.inter.broker.protocol=PLAIN\n"
        f"listener.name.plaintext.plain.sasl.jaas.config={module} required"
        ' username="broker" password="inner" user_broker="inner" user_baitwell="right";\n'
        f"ssl.keystore.location={store}\nssl.keystore.password=changeit\n"
        f"ssl.truststore.location={store}\nssl.truststore.password=changeit\n"
    )
    return OwnBroker(folder / "broker", KAFKA_DEV_EXTRA=str(extra))


@pytest.mark.needs_kafka
async def test_who_reads_goes_on_after_what_fetches_for_it_has_ended(
    bus: KafkaBus, store: Store
) -> None:
    """aiokafka's fetching is a task of its own: when that fails, `getmany` answers with nothing for ever."""
    await bus.start(["leads"])
    store.put(await bus.ends(["leads"]))
    reader, key = Reader(store), new_key()
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    await has_joined(member)
    await member.fetch(10, 0.1)
    consumer = member._consumer
    assert consumer is not None
    consumer._fetcher._fetch_task.cancel()
    await asyncio.wait({consumer._fetcher._fetch_task})
    await bus.publish(numbered("leads", key, 3))
    with pytest.raises(BusUnavailable):
        await member.fetch(10, 1.0)
    records = await collect(member, reader, lambda found: len(values(found, key)) >= 3)
    assert values(records, key) == [0, 1, 2]
