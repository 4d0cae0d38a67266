"""The sinks as programs: what they acknowledged is in their record, also over uvloop."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import uvloop

from bench.sinks import smtp
from bench.sinks.record import read_record
from services.push.channels.base import (
    Channel,
    Content,
    OutcomeClass,
    Outgoing,
    Result,
    SenderIdentity,
)
from services.push.channels.email.channel import SmtpChannel
from services.push.channels.email.dkim.keys import new_key
from services.push.channels.email.settings import SmtpSettings
from services.push.channels.webhook import WebhookChannel, WebhookSettings
from services.shared.clock import ShiftedClock
from services.shared.http.ssrf import Guard, guarded_client
from tests.components.waiting import eventually

ROOT = Path(__file__).parents[3]
CONTENT = Content(("Hi",), ("text\n",), ("<p>",), "en", "v")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
COUNT = 20


@contextmanager
def program(module: str, *arguments: str) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """A sink as a process of its own; yields its port once it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--port", "0", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().removeprefix("ready ")), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def send_all(channel: Channel, clock: ShiftedClock) -> list[Outgoing]:
    results: list[Result] = []
    connection = await channel.connect(results.append)
    messages = [
        Outgoing(uuid4(), f"r{number}@b.example", CONTENT, {}, None, None, clock.monotonic() + 60)
        for number in range(COUNT)
    ]
    for message in messages:
        connection.submit(message)
    await eventually(lambda: len(results) == COUNT, "all results")
    await connection.close()
    assert {result.outcome for result in results} == {OutcomeClass.OK}
    return messages


async def over_smtp(port: int) -> list[Outgoing]:
    clock = ShiftedClock(timedelta(0))
    settings = SmtpSettings.from_url(f"smtp://127.0.0.1:{port}")
    sender = SenderIdentity("", "news@shop.example")
    return await send_all(SmtpChannel(settings, sender, clock), clock)


async def over_http(port: int) -> list[Outgoing]:
    clock = ShiftedClock(timedelta(0))
    settings = WebhookSettings(f"http://127.0.0.1:{port}/", (SECRET,))
    async with guarded_client(Guard(["127.0.0.1"])) as client:
        return await send_all(WebhookChannel(settings, client, clock), clock)


@pytest.mark.parametrize("options", [[], ["--delay", "0.001"], ["--no-pipelining"]])
def test_an_smtp_sink_records_id_and_recipient_before_it_answers(
    tmp_path: Path, options: list[str]
) -> None:
    record = tmp_path / "record"
    with program("bench.sinks.smtp", "--record", str(record), *options) as (port, process):
        messages = uvloop.run(over_smtp(port))
        process.kill()
        process.wait()
    assert read_record(record) == [
        (f"{message.delivery_id}@shop.example", message.address) for message in messages
    ]


@pytest.mark.parametrize(("signed", "code"), [(False, "550 5.7.20"), (True, "250")])
async def test_a_sink_that_wants_signatures_refuses_mail_without_one(
    signed: bool, code: str
) -> None:
    results: list[Result] = []
    clock = ShiftedClock(timedelta(0))
    keys = (new_key("shop.example", "s1", "ed25519"),) if signed else ()
    async with smtp.running(smtp.Options(only_signed=True)) as (sink, port):
        settings = SmtpSettings.from_url(f"smtp://127.0.0.1:{port}")
        sender = SenderIdentity("", "news@shop.example")
        channel = SmtpChannel(settings, sender, clock, keys=keys)
        connection = await channel.connect(results.append)
        fresh = clock.monotonic() + 60
        connection.submit(Outgoing(uuid4(), "a@b.example", CONTENT, {}, None, None, fresh))
        await eventually(lambda: results, "the result")
        await connection.close()
        await channel.close()
    assert results[0].code == code
    assert sink.count == signed


def test_an_http_sink_records_id_and_recipient_before_it_answers(tmp_path: Path) -> None:
    record = tmp_path / "record"
    with program("bench.sinks.http", "--record", str(record)) as (port, process):
        messages = asyncio.run(over_http(port))
        process.kill()
        process.wait()
    assert read_record(record) == [
        (str(message.delivery_id), message.address) for message in messages
    ]


def test_a_stopped_sink_says_how_much_it_took() -> None:
    with program("bench.sinks.smtp") as (port, process):
        uvloop.run(over_smtp(port))
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.read() == f"messages {COUNT}\n"
