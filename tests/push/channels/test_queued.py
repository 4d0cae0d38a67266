"""A connection whose `send` misbehaves still reports every message once."""

import asyncio
from uuid import uuid4

import pytest

from services.push.channels.base import Content, OutcomeClass, Outgoing, Result
from services.push.channels.queued import QueuedConnection
from services.shared.clock import VirtualClock
from tests.components.waiting import eventually

CONTENT = Content(("s",), ("t",), None, "en", "v")


def message(clock: VirtualClock) -> Outgoing:
    fresh = clock.monotonic() + 60
    return Outgoing(uuid4(), "a@b.example", CONTENT, {}, None, None, fresh)


async def test_an_error_of_send_breaks_the_connection_and_loses_no_result() -> None:
    async def send(_message: Outgoing) -> Result:
        raise RuntimeError("a bug")

    clock = VirtualClock()
    results: list[Result] = []
    connection = QueuedConnection(send, results.append, clock)
    for _ in range(3):
        connection.submit(message(clock))
    await eventually(lambda: len(results) == 3, "three results")
    outcomes = [result.outcome for result in results]
    assert outcomes == [OutcomeClass.RETRY_LATER, None, None]
    assert not connection.open
    with pytest.raises(RuntimeError, match="a bug"):
        await connection.close()


async def test_a_send_that_does_not_end_is_cut_off_at_the_bound() -> None:
    async def send(_message: Outgoing) -> Result:
        await asyncio.Event().wait()
        raise AssertionError

    clock = VirtualClock()
    results: list[Result] = []
    connection = QueuedConnection(send, results.append, clock, close_seconds=3)
    connection.submit(message(clock))
    await asyncio.sleep(0)
    closing = asyncio.create_task(connection.close())
    await eventually(lambda: clock.next_alarm() is not None, "the bound runs")
    clock.advance(3)
    await closing
    assert [(result.outcome, result.code) for result in results] == [
        (OutcomeClass.RETRY_LATER, "cut-off")
    ]
