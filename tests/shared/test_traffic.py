"""Who steps aside for whom in the one loop."""

import asyncio

from services.shared.clock import VirtualClock
from services.shared.traffic import Pace, Traffic


async def _waited(clock: VirtualClock, pace: Pace) -> float:
    """Seconds of the clock until a following loop has its turn."""
    began = clock.monotonic()
    turn = asyncio.ensure_future(pace.enter())
    for _ in range(100):
        await asyncio.sleep(0)
        if turn.done():
            return clock.monotonic() - began
        clock.advance(0.01)
    raise AssertionError("its turn never came")


async def _work(clock: VirtualClock, pace: Pace, seconds: float) -> None:
    began = clock.monotonic()
    clock.advance(seconds)
    left = asyncio.ensure_future(pace.leave(began, 10))
    while not left.done():
        await asyncio.sleep(0)
        clock.advance(0.0001)


async def test_a_consumer_works_turn_after_turn_when_nobody_else_wants_the_loop():
    clock = VirtualClock()
    pace = Pace(Traffic(clock), clock, most=100)
    await _work(clock, pace, 0.02)
    assert await _waited(clock, pace) == 0


async def test_a_consumer_rests_for_three_turns_while_a_dispatcher_sends():
    clock = VirtualClock()
    traffic = Traffic(clock)
    pace = Pace(traffic, clock, most=100)
    traffic.sending()
    await _work(clock, pace, 0.02)
    assert 0.05 <= await _waited(clock, pace) <= 0.07


async def test_a_rest_ends_early_when_the_loop_has_nothing_to_do():
    """What is on the wire may wait for a slow mail server: then nobody needs the loop."""
    clock = VirtualClock()
    traffic = Traffic(clock)
    pace = Pace(traffic, clock, most=100)
    clock.advance(1)
    traffic.sending()
    await _work(clock, pace, 0.08)
    began = clock.monotonic()
    turn = asyncio.ensure_future(pace.enter())
    while not turn.done():
        await asyncio.sleep(0)
        clock.advance(0.001)
    assert clock.monotonic() - began < 0.05


async def test_a_turn_is_more_than_a_commit_however_long_one_was_learned_to_take():
    clock = VirtualClock()
    pace = Pace(Traffic(clock), clock, most=1000)
    for _ in range(20):
        await _work(clock, pace, 0.5)
    assert pace.limit >= 200


async def test_the_rest_is_short_however_long_the_turn_was():
    clock = VirtualClock()
    traffic = Traffic(clock)
    pace = Pace(traffic, clock, most=100)
    clock.advance(1)
    began = clock.monotonic()
    clock.advance(5)
    traffic.sending()
    left = asyncio.ensure_future(pace.leave(began, 10))
    while not left.done():
        await asyncio.sleep(0)
        clock.advance(0.0001)
    assert await _waited(clock, pace) <= 0.26


async def test_however_many_follow_a_campaign_nobody_waits_long():
    """Push's view of people may be 3 s old: what they say goes through a relay and a consumer."""
    clock = VirtualClock()
    traffic = Traffic(clock)
    longest = 0.0

    async def follow() -> None:
        nonlocal longest
        pace = Pace(traffic, clock, most=100)
        for _ in range(20):
            asked = clock.monotonic()
            began = await pace.enter()
            longest = max(longest, clock.monotonic() - asked)
            clock.advance(0.05)
            await pace.leave(began, 10)

    loops = [asyncio.ensure_future(follow()) for _ in range(8)]
    while not all(loop.done() for loop in loops):
        traffic.sending()
        await asyncio.sleep(0)
        clock.advance(0.001)
    assert 0.15 <= longest <= 1.0


async def _crowded(clock: VirtualClock, seconds: float, *, answered: bool) -> float:
    """How long a consumer rests after a turn while a crowd asks."""
    traffic = Traffic(clock)
    pace = Pace(traffic, clock, most=100)
    for _ in range(30):
        traffic.began()
    if answered:
        for _ in range(30):
            traffic.ended()
    await _work(clock, pace, seconds)
    return await _waited(clock, pace)


async def test_a_crowd_that_waits_has_the_loop_for_seven_turns():
    assert 0.12 <= await _crowded(VirtualClock(), 0.02, answered=False) <= 0.16


async def test_a_crowd_that_has_its_answers_needs_no_rest():
    assert await _crowded(VirtualClock(), 0.02, answered=True) <= 0.01


async def test_nobody_rests_for_people_where_the_database_works_elsewhere():
    clock = VirtualClock()
    traffic = Traffic(clock, inline=False)
    pace = Pace(traffic, clock, most=1000)
    for _ in range(30):
        traffic.began()
    traffic.sending()
    began = clock.monotonic()
    clock.advance(0.2)
    left = asyncio.ensure_future(pace.leave(began, 500))
    while not left.done():
        await asyncio.sleep(0)
        clock.advance(0.0001)
    assert await _waited(clock, pace) == 0
    assert pace.limit == 250


async def test_after_a_turn_that_found_little_work_gathers_for_a_moment():
    clock = VirtualClock()
    pace = Pace(Traffic(clock, inline=False), clock, most=1000)
    began = clock.monotonic()
    clock.advance(0.01)
    left = asyncio.ensure_future(pace.leave(began, 3))
    for _ in range(29):
        await asyncio.sleep(0)
        clock.advance(0.001)
    await asyncio.sleep(0)
    assert not left.done()
    for _ in range(3):
        clock.advance(0.001)
        await asyncio.sleep(0)
    assert left.done()


async def test_after_a_turn_that_was_nearly_full_nobody_waits_for_more():
    clock = VirtualClock()
    pace = Pace(Traffic(clock, inline=False), clock, most=300)
    taken = pace.limit
    began = clock.monotonic()
    clock.advance(0.01)
    left = asyncio.ensure_future(pace.leave(began, taken - 20))
    for _ in range(3):
        await asyncio.sleep(0)
    assert left.done()
