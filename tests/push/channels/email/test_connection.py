"""What a misbehaving server makes of a message (R12), stage by stage."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from bench.sinks import smtp
from services.push.channels.base import (
    ChannelUnavailable,
    Content,
    Outgoing,
    Result,
    SenderIdentity,
    Slot,
)
from services.push.channels.base import OutcomeClass as Class
from services.push.channels.email.channel import SmtpChannel
from services.push.channels.email.connection import SmtpConnection
from services.push.channels.email.settings import SmtpSettings, Timeouts
from services.shared.clock import ShiftedClock
from tests.components.waiting import eventually

SENDER = SenderIdentity("Example News", "news@shop.example")
CONTENT = Content(("Hi",), (Slot("x", "text"), "\n.\n..\n"), None, "en", "v")
PIPELINED = ("PIPELINING", "SIZE 1000000", "SMTPUTF8", "8BITMIME")
SEQUENTIAL = ("SIZE 1000000",)
BOTH = pytest.mark.parametrize("extensions", [PIPELINED, SEQUENTIAL], ids=["pipelined", "plain"])


class Talk:
    """A connection to a scripted sink, with what was reported on it."""

    def __init__(self, sink: smtp.Sink, channel: SmtpChannel, clock: ShiftedClock) -> None:
        self.sink = sink
        self.channel = channel
        self.clock = clock
        self.results: list[Result] = []
        self.connections: list[SmtpConnection] = []

    async def connect(self) -> SmtpConnection:
        connection = await self.channel.connect(self.results.append)
        self.connections.append(connection)
        return connection

    def message(self, address: str = "ann@reader.example", text: str = ".dot\n.") -> Outgoing:
        fresh = self.clock.monotonic() + 60
        return Outgoing(uuid4(), address, CONTENT, {"x": text}, None, None, fresh)

    async def send(self, *addresses: str) -> list[Result]:
        """The results of one message per address on one new connection, in order of submission."""
        connection = await self.connect()
        messages = [self.message(address) for address in addresses]
        before = len(self.results)
        for message in messages:
            connection.submit(message)
        await eventually(lambda: len(self.results) - before >= len(messages), "all results")
        by_id = {result.delivery_id: result for result in self.results[before:]}
        assert len(by_id) == len(messages)
        return [by_id[message.delivery_id] for message in messages]


@asynccontextmanager
async def talk(
    extensions: tuple[str, ...] = PIPELINED,
    timeouts: Timeouts | None = None,
    greeting: str = "220 hello",
) -> AsyncIterator[Talk]:
    options = smtp.Options(
        extensions=extensions, misbehave=True, keep=True, greeting=greeting, stall=30, drip=0.002
    )
    async with smtp.running(options) as (sink, port):
        settings = SmtpSettings.from_url(
            f"smtp://127.0.0.1:{port}", timeouts=timeouts or Timeouts(close=0.3)
        )
        clock = ShiftedClock(timedelta(0))
        one = Talk(sink, SmtpChannel(settings, SENDER, clock, hello="client.example"), clock)
        yield one
        for connection in one.connections:
            await connection.close()


@BOTH
class TestRefusals:
    @pytest.mark.parametrize(
        ("local", "outcome", "code"),
        [
            ("hard-550-5.1.1", Class.PERMANENT_RECIPIENT, "550 5.1.1"),
            ("full-452-4.2.2", Class.RETRY_LATER, "452 4.2.2"),
            ("policy-550-5.7.1", Class.SKIP_RECIPIENT, "550 5.7.1"),
            ("auth-550-5.7.26", Class.PERMANENT_CONFIG, "550 5.7.26"),
            ("data-451", Class.RETRY_LATER, "451"),
            ("data-554-5.3.4", Class.PERMANENT_CONFIG, "554 5.3.4"),
            ("dot-451-4.3.0", Class.RETRY_LATER, "451 4.3.0"),
            ("dot-552-5.2.2", Class.SOFT, "552 5.2.2"),
            ("dot-554-5.6.0", Class.SKIP_RECIPIENT, "554 5.6.0"),
            ("reject-data", Class.PERMANENT_RECIPIENT, "550 5.1.1"),
        ],
    )
    async def test_a_refusal_has_its_class_and_harms_no_neighbour(
        self, extensions: tuple[str, ...], local: str, outcome: Class, code: str
    ) -> None:
        async with talk(extensions) as one:
            results = await one.send("a@b.example", f"{local}@b.example", "c@b.example")
            assert [result.outcome for result in results] == [Class.OK, outcome, Class.OK]
            assert results[1].code == code
            taken = [message.recipient for message in one.sink.taken]
            assert taken == [b"a@b.example", b"c@b.example"]

    async def test_a_refused_mail_command_concerns_that_message_alone(
        self, extensions: tuple[str, ...]
    ) -> None:
        async with talk(extensions) as one:
            results = await one.send("mail-451@b.example", "a@b.example", "c@b.example")
            # pipelined, the MAIL of the next one has left before; the one after it is refused
            outcomes = sorted(str(result.outcome) for result in results)
            assert outcomes == sorted([Class.OK, Class.OK, Class.RETRY_LATER])
            assert len(one.sink.taken) == 2

    async def test_greylisted_once_is_taken_at_the_second_attempt(
        self, extensions: tuple[str, ...]
    ) -> None:
        async with talk(extensions) as one:
            first, second = await one.send("grey-451@b.example", "grey-451@b.example")
            assert (first.outcome, second.outcome) == (Class.RETRY_LATER, Class.OK)

    async def test_an_address_that_is_none_never_reaches_the_server(
        self, extensions: tuple[str, ...]
    ) -> None:
        async with talk(extensions) as one:
            bad = "a@b.example>\r\nRCPT TO:<evil@b.example"
            results = await one.send(bad, "a@b.example")
            assert results[0].outcome is Class.PERMANENT_RECIPIENT
            assert results[0].code == "address-invalid"
            assert [taken.recipient for taken in one.sink.taken] == [b"a@b.example"]

    async def test_a_body_that_looks_like_smtp_stays_a_body(
        self, extensions: tuple[str, ...]
    ) -> None:
        async with talk(extensions) as one:
            connection = await one.connect()
            for smuggled in ("\r\n.\r\nMAIL FROM:<e@e.example>\r\n", "\n.\n", "\r.\r", "."):
                connection.submit(one.message(text=smuggled))
            await eventually(lambda: len(one.results) == 4, "all results")
            assert {result.outcome for result in one.results} == {Class.OK}
            assert len(one.sink.taken) == 4


@BOTH
class TestBroken:
    @pytest.mark.parametrize(
        ("local", "outcome", "code", "taken"),
        [
            ("drop-after-dot", Class.AMBIGUOUS, "connection-lost", True),
            ("drop-before-dot", Class.RETRY_LATER, "connection-lost", False),
            ("closing-421", Class.RETRY_LATER, "421 4.3.2", False),
            ("dot-421-4.7.28", Class.RATE_LIMITED, "421 4.7.28", False),
            ("wrong-250", Class.RETRY_LATER, "wrong-code", False),
            ("wrong-354", Class.AMBIGUOUS, "wrong-code", True),
            ("babble", Class.AMBIGUOUS, "not-smtp", True),
        ],
    )
    async def test_the_class_follows_from_where_the_message_stood(
        self, extensions: tuple[str, ...], local: str, outcome: Class, code: str, taken: bool
    ) -> None:
        async with talk(extensions) as one:
            results = await one.send("a@b.example", f"{local}@b.example", *["c@b.example"] * 3)
            assert (results[0].outcome, results[1].outcome) == (Class.OK, outcome)
            assert results[1].code == code
            assert {result.outcome for result in results[2:]} <= {None, Class.RETRY_LATER}
            assert len(one.sink.taken) == 1 + taken
            assert not one.connections[0].open

    async def test_a_silent_server_after_the_dot_is_ambiguous(
        self, extensions: tuple[str, ...]
    ) -> None:
        timeouts = Timeouts(dot=0.2, command=0.2, close=0.1)
        async with talk(extensions, timeouts) as one:
            results = await one.send("slow@b.example", "a@b.example", "c@b.example")
            assert (results[0].outcome, results[0].code) == (Class.AMBIGUOUS, "timeout")
            assert {result.outcome for result in results[1:]} <= {None, Class.RETRY_LATER}
            assert len(one.sink.taken) == 1

    async def test_a_slow_server_is_waited_for(self, extensions: tuple[str, ...]) -> None:
        async with talk(extensions, Timeouts(dot=20, command=0.3)) as one:
            results = await one.send("slow-1@b.example", "a@b.example")
            assert {result.outcome for result in results} == {Class.OK}

    async def test_answers_octet_by_octet_are_understood(self, extensions: tuple[str, ...]) -> None:
        async with talk(extensions) as one:
            results = await one.send("tarpit@b.example", "a@b.example")
            assert {result.outcome for result in results} == {Class.OK}


class TestLimits:
    async def test_a_message_above_the_servers_size_is_not_sent(self) -> None:
        async with talk(("PIPELINING", "SIZE 100")) as one:
            (result,) = await one.send("a@b.example")
            assert (result.outcome, result.code) == (Class.PERMANENT_CONFIG, "too-large")
            assert not one.sink.taken

    async def test_an_address_in_other_letters_needs_smtputf8(self) -> None:
        async with talk(("PIPELINING",)) as one:
            results = await one.send("用户@b.example", "a@bücher.example")
            assert results[0].outcome is Class.PERMANENT_RECIPIENT
            assert results[0].code == "smtputf8"
            assert results[1].outcome is Class.OK
        async with talk(PIPELINED) as one:
            results = await one.send("用户@b.example")
            assert results[0].outcome is Class.OK
            assert one.sink.taken[0].recipient.decode() == "用户@b.example"


class TestUnavailable:
    async def test_nobody_listens(self) -> None:
        async with talk() as one:
            pass
        with pytest.raises(ChannelUnavailable) as caught:
            await one.connect()
        assert (caught.value.outcome, caught.value.code) == (Class.RETRY_LATER, "unreachable")

    @pytest.mark.parametrize(
        ("greeting", "outcome"),
        [
            ("421 4.3.2 busy", Class.RETRY_LATER),
            ("554 5.7.1 go away", Class.PERMANENT_CONFIG),
            ("521 no mail here", Class.PERMANENT_CONFIG),
        ],
    )
    async def test_a_greeting_that_refuses(self, greeting: str, outcome: Class) -> None:
        async with talk(greeting=greeting) as one:
            with pytest.raises(ChannelUnavailable) as caught:
                await one.connect()
            assert caught.value.outcome is outcome

    async def test_a_server_that_never_greets(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = SmtpSettings.from_url(
            f"smtp://127.0.0.1:{port}", timeouts=Timeouts(greeting=0.1)
        )
        channel = SmtpChannel(settings, SENDER, ShiftedClock(timedelta(0)))
        with pytest.raises(ChannelUnavailable) as caught:
            await channel.connect(lambda _result: None)
        assert (caught.value.outcome, caught.value.code) == (Class.RETRY_LATER, "timeout")
        server.close()

    async def test_a_server_that_is_no_mail_server(self) -> None:
        async with talk(greeting="HTTP/1.1 400 Bad Request") as one:
            with pytest.raises(ChannelUnavailable) as caught:
                await one.connect()
            assert caught.value.outcome is Class.RETRY_LATER
