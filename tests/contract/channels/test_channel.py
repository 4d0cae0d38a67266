"""What push relies on, for every channel alike."""

import asyncio
import logging
from collections import Counter
from datetime import timedelta

import pytest

from services.push.channels.base import MAX_WINDOW
from services.push.channels.base import OutcomeClass as Class
from tests.components.waiting import PATIENCE
from tests.contract.channels.rigs import CAN_HAPPEN, CANARY, Rig


def able(*troubles: str) -> pytest.MarkDecorator:
    """Runs for the channels to which these troubles can happen."""
    pairs = [(name, trouble) for trouble in troubles for name in CAN_HAPPEN[trouble]]
    return pytest.mark.parametrize(("rig", "trouble"), pairs, indirect=["rig"])


class TestDelivery:
    async def test_every_message_is_reported_once_and_reaches_the_provider_in_order(
        self, rig: Rig
    ) -> None:
        connection = await rig.connect()
        messages = [rig.message(f"reader{number}@reader.example") for number in range(40)]
        for message in messages:
            connection.submit(message)
        results = await rig.reported(40)
        ids = [message.delivery_id for message in messages]
        assert [result.delivery_id for result in results] == ids
        assert {result.outcome for result in results} == {Class.OK}
        assert list(rig.received()) == ids

    async def test_lanes_work_side_by_side(self, rig: Rig) -> None:
        connections = [await rig.connect() for _ in range(rig.channel.lanes)]
        for number in range(60):
            connections[number % len(connections)].submit(rig.message())
        results = await rig.reported(60)
        assert {result.outcome for result in results} == {Class.OK}
        assert max(Counter(rig.received()).values()) == 1

    async def test_a_message_can_be_submitted_from_a_report(self, rig: Rig) -> None:
        done = asyncio.Event()
        left = 30

        def go_on(_result: object) -> None:
            nonlocal left
            left -= 1
            if left:
                connection.submit(rig.message())
            else:
                done.set()

        connection = await rig.channel.connect(go_on)
        connection.submit(rig.message())
        async with asyncio.timeout(PATIENCE):
            await done.wait()
        await connection.close()
        assert len(rig.received()) == 30

    async def test_window_and_lanes_are_within_their_bounds(self, rig: Rig) -> None:
        assert 1 <= rig.channel.window <= MAX_WINDOW
        assert rig.channel.lanes >= 1
        assert rig.channel.name in {"email", "webhook"}

    async def test_provider_id_is_the_same_in_a_second_attempt(self, rig: Rig) -> None:
        connection = await rig.connect()
        message = rig.message()
        connection.submit(message)
        connection.submit(rig.message(delivery_id=message.delivery_id))
        first, second = await rig.reported(2)
        assert first.provider_id == second.provider_id
        assert first.provider_id is not None
        assert str(message.delivery_id) in first.provider_id

    async def test_a_missing_value_is_our_fault_and_stops_nobody(self, rig: Rig) -> None:
        connection = await rig.connect()
        broken = rig.message()
        broken.values.pop("var:name")  # type: ignore[attr-defined]
        connection.submit(broken)
        connection.submit(rig.message())
        first, second = await rig.reported(2)
        assert (first.outcome, first.code) == (Class.PERMANENT_CONFIG, "value-missing")
        assert second.outcome is Class.OK


class TestFreshness:
    async def test_a_message_past_its_time_is_not_sent(self, rig: Rig) -> None:
        connection = await rig.connect()
        stale, fresh = rig.message(fresh=-0.001), rig.message()
        connection.submit(stale)
        connection.submit(fresh)
        results = await rig.reported(2)
        assert (results[0].outcome, results[0].code) == (None, "stale")
        assert list(rig.received()) == [fresh.delivery_id]

    async def test_a_message_that_grew_old_while_it_waited_is_not_sent(self, rig: Rig) -> None:
        connection = await rig.connect()
        slow = rig.message(rig.addresses["slow"])
        waiting = [rig.message(fresh=2) for _ in range(3)]
        connection.submit(slow)
        for message in waiting:
            connection.submit(message)
        await rig.took(1)
        rig.clock.advance(timedelta(seconds=2.5))
        rig.release()
        results = await rig.reported(4)
        outcomes = {result.delivery_id: result.outcome for result in results}
        assert outcomes[slow.delivery_id] is Class.OK
        assert [outcomes[message.delivery_id] for message in waiting] == [None] * 3
        assert list(rig.received()) == [slow.delivery_id]


class TestTrouble:
    @able("permanent", "limited", "later")
    async def test_a_refusal_has_its_class_and_the_next_message_goes_out(
        self, rig: Rig, trouble: str
    ) -> None:
        connection = await rig.connect()
        connection.submit(rig.message())
        connection.submit(rig.message(rig.addresses[trouble]))
        connection.submit(rig.message())
        results = await rig.reported(3)
        expected = [Class.OK, rig.classes[trouble], Class.OK]
        assert [result.outcome for result in results] == expected
        assert len(rig.received()) == 2

    @able("limited")
    async def test_a_rate_limit_says_how_long(self, rig: Rig, trouble: str) -> None:
        connection = await rig.connect()
        connection.submit(rig.message(rig.addresses[trouble]))
        (result,) = await rig.reported(1)
        assert result.retry_after == rig.retry_after
        assert result.scope == ("recipient" if rig.channel.name == "email" else "channel")

    @able("lost before", "lost after")
    async def test_a_lost_connection_has_the_class_of_where_the_message_stood(
        self, rig: Rig, trouble: str
    ) -> None:
        connection = await rig.connect()
        lost = rig.message(rig.addresses[trouble])
        after = [rig.message() for _ in range(4)]
        connection.submit(rig.message())
        connection.submit(lost)
        for message in after:
            connection.submit(message)
        results = {result.delivery_id: result for result in await rig.reported(6)}
        assert results[lost.delivery_id].outcome is rig.classes[trouble]
        taken = set(rig.received())
        assert (lost.delivery_id in taken) == (trouble == "lost after")
        for message in after:
            sent = results[message.delivery_id].outcome is Class.OK
            assert sent == (message.delivery_id in taken)
            assert results[message.delivery_id].outcome in {None, Class.RETRY_LATER, Class.OK}

    async def test_no_personal_data_in_results_or_log(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        count = 0
        for kind, address in rig.addresses.items():
            if kind != "slow":
                connection = await rig.connect()
                connection.submit(rig.message(address))
                count += 1
        told = " ".join(f"{result.code} {result.detail}" for result in await rig.reported(count))
        for secret in (CANARY, "reader.example", *rig.addresses.values()):
            assert secret not in told
            assert secret not in caplog.text


class TestClose:
    async def test_what_was_never_started_is_reported_as_not_sent(self, rig: Rig) -> None:
        connection = await rig.connect()
        slow = rig.message(rig.addresses["slow"])
        waiting = [rig.message() for _ in range(8)]
        connection.submit(slow)
        for message in waiting:
            connection.submit(message)
        await rig.took(1)
        async with asyncio.timeout(PATIENCE):
            await connection.close()
        assert len(rig.results) == 9
        results = {result.delivery_id: result.outcome for result in rig.results}
        assert results[slow.delivery_id] is rig.classes["cut while closing"]
        assert [results[message.delivery_id] for message in waiting] == [None] * 8
        assert list(rig.received()) == [slow.delivery_id]

    async def test_what_is_on_the_wire_may_finish(self, rig: Rig) -> None:
        connection = await rig.connect()
        connection.submit(rig.message(rig.addresses["slow"]))
        await rig.took(1)
        closing = asyncio.create_task(connection.close())
        await asyncio.sleep(0)
        rig.release()
        await closing
        assert [result.outcome for result in rig.results] == [Class.OK]

    async def test_a_closed_connection_takes_nothing(self, rig: Rig) -> None:
        connection = await rig.connect()
        assert connection.open
        await connection.close()
        await connection.close()
        assert not connection.open
        connection.submit(rig.message())
        assert [result.outcome for result in rig.results] == [None]
        assert not rig.received()
