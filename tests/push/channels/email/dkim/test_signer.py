"""Signed mail over a connection: in order, off the loop, and also when the process that signs dies."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import psutil

from bench.sinks import smtp
from services.push.channels.base import Content, OutcomeClass, Outgoing, Result, SenderIdentity
from services.push.channels.email.channel import SmtpChannel
from services.push.channels.email.connection import SmtpConnection
from services.push.channels.email.settings import SmtpSettings
from services.shared.clock import ShiftedClock
from tests.components.waiting import eventually
from tests.push.channels.email.dkim.verifying import BRAND, ED25519, RSA, valid

CONTENT = Content(("你好, dear reader",), ("text\n.\n\n\n",), ("<p>  x</p>",), "en", "v")
SENDER = SenderIdentity("Example News", "news@shop.example")
BRANDED = SenderIdentity("Brand", "hello@brand.example")
UNSIGNED = SenderIdentity("Nobody", "hello@nobody.example")
CLOCK = ShiftedClock(timedelta(0))


@asynccontextmanager
async def talk() -> AsyncIterator[tuple[smtp.Sink, SmtpConnection, list[Result]]]:
    results: list[Result] = []
    async with smtp.running(smtp.Options(keep=True)) as (sink, port):
        settings = SmtpSettings.from_url(f"smtp://127.0.0.1:{port}")
        channel = SmtpChannel(settings, SENDER, CLOCK, keys=(RSA, ED25519, BRAND))
        connection = await channel.connect(results.append)
        try:
            yield sink, connection, results
        finally:
            await connection.close()
            await channel.close()


def message(sender: SenderIdentity | None = None, *, fresh: float = 60) -> Outgoing:
    until = CLOCK.monotonic() + fresh
    return Outgoing(uuid4(), "a@b.example", CONTENT, {}, sender, "https://n.example/u/x", until)


def helpers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _signs(child)]


def _signs(child: psutil.Process) -> bool:
    try:
        return "helper.py" in " ".join(child.cmdline())
    except psutil.NoSuchProcess:  # it has just ended
        return False


async def test_mail_is_signed_for_its_sender_and_leaves_in_order() -> None:
    async with talk() as (sink, connection, results):
        senders = [None, BRANDED, UNSIGNED] * 5
        messages = [message(sender) for sender in senders]
        for one in messages:
            connection.submit(one)
        await eventually(lambda: len(results) == len(messages), "all results")
        assert {result.outcome for result in results} == {OutcomeClass.OK}
        ids = [re.search(rb"Message-ID: <([^@]*)", taken.raw) for taken in sink.taken]
        assert [found and found[1].decode() for found in ids] == [
            str(one.delivery_id) for one in messages
        ]
        expected = {SENDER.address: [True, True], BRANDED.address: [True], UNSIGNED.address: []}
        for taken in sink.taken:
            assert valid(taken.raw) == expected[taken.sender.decode()]


async def test_the_loop_goes_on_while_mail_is_signed() -> None:
    async with talk() as (_sink, connection, results):
        assert len(helpers()) >= 1
        connection.submit(message())
        assert not results
        await eventually(lambda: len(results) == 1, "the result")


async def test_mail_is_signed_here_when_the_process_that_signs_dies() -> None:
    async with talk() as (sink, connection, results):
        for process in helpers():
            process.suspend()
        for _ in range(5):
            connection.submit(message())
        await asyncio.sleep(0)
        for process in helpers():
            process.kill()
        await eventually(lambda: len(results) == 5, "all results")
        assert all(valid(taken.raw) == [True, True] for taken in sink.taken)
        connection.submit(message())
        await eventually(lambda: len(results) == 6, "the last result")


async def test_a_connection_that_closes_returns_what_is_not_signed_yet() -> None:
    async with talk() as (sink, connection, results):
        for process in helpers():
            process.suspend()
        for _ in range(3):
            connection.submit(message())
        await connection.close()
        assert [result.outcome for result in results] == [None] * 3
        assert not sink.taken
        for process in helpers():
            process.resume()


async def test_no_process_stays_behind() -> None:
    async with talk():
        assert helpers()
    assert not helpers()


async def test_a_process_that_stands_still_does_not_keep_us_from_ending() -> None:
    async with talk() as (_sink, connection, results):
        frozen = helpers()
        for process in frozen:
            process.suspend()
        connection.submit(message())
    assert [result.code for result in results] == ["connection-closed"]
    assert frozen
    assert helpers() == []


async def test_a_process_that_stands_still_is_ended_and_its_mail_goes_on_once() -> None:
    async with talk() as (sink, connection, results):
        frozen = helpers()
        for process in frozen:
            process.suspend()
        messages = [message() for _ in range(5)]
        for one in messages:
            connection.submit(one)
        await eventually(lambda: len(results) == 5, "all results")
        assert {result.outcome for result in results} == {OutcomeClass.OK}
        ids = [re.search(rb"Message-ID: <([^@]*)", taken.raw) for taken in sink.taken]
        assert [found and found[1].decode() for found in ids] == [
            str(one.delivery_id) for one in messages
        ]
        assert all(valid(taken.raw) == [True, True] for taken in sink.taken)
        assert frozen
        assert all(not process.is_running() for process in frozen)


async def test_another_process_signs_after_one_has_ended() -> None:
    async with talk() as (sink, connection, results):
        ended = {process.pid for process in helpers()}
        for process in helpers():
            process.kill()
        await eventually(
            lambda: len({process.pid for process in helpers()} - ended) == len(ended), "others"
        )
        connection.submit(message())
        assert not results
        await eventually(lambda: len(results) == 1, "the result")
        assert valid(sink.taken[0].raw) == [True, True]


async def test_a_message_that_has_become_stale_is_not_sent() -> None:
    async with talk() as (sink, connection, results):
        connection.submit(message(fresh=-1))
        await eventually(lambda: len(results) == 1, "the result")
        assert (results[0].outcome, results[0].code) == (None, "stale")
        assert not sink.taken
