"""Several dispatchers in one process, one of which can be made to stand still (R4, embedded)."""

import itertools
from collections.abc import Callable
from functools import partial

from services.push import sending
from services.push.channels.email.mailbox import MailboxStore
from services.push.channels.opening import Opened
from services.push.deliveries.dispatcher import Dispatcher
from services.push.settings import PushSettings
from services.shared.clock import Clock
from services.shared.runner.supervisor import BackgroundTask, Loop
from tests.chaos.pieces import replace, while_off

ASLEEP = "asleep"
"""The switch: while it is on, the second dispatcher stands still with all that it holds."""


def several(number: int) -> None:
    """So many dispatchers of each channel, as if as many processes ran."""
    one: Callable[[PushSettings, MailboxStore, Clock], Opened] = vars(sending)["open_channels"]

    def many(settings: PushSettings, mailbox: MailboxStore, clock: Clock) -> Opened:
        opened = [one(settings, mailbox, clock) for _ in range(number)]
        return Opened(
            [channel for each in opened for channel in each.channels],
            [closer for each in opened for closer in each.closers],
            opened[0].local_mail,
        )

    numbers = itertools.count(1)

    def numbered(name: str, loop: Loop) -> BackgroundTask:
        return BackgroundTask(f"{name} {next(numbers)}", loop)

    replace(sending, "open_channels", many)
    replace(sending, "BackgroundTask", numbered)
    _let_one_sleep()


def _let_one_sleep() -> None:
    awake = Dispatcher.step
    seen: list[Dispatcher] = []

    async def sleepy(dispatcher: Dispatcher) -> bool:
        if dispatcher not in seen:
            seen.append(dispatcher)
        if seen.index(dispatcher) == 1:
            await while_off(ASLEEP)
        return await awake(dispatcher)

    replace(Dispatcher, "step", sleepy)


def small_claims() -> None:
    """A dispatcher takes a few messages at once, so that all of them have some."""
    defaults = Dispatcher.__init__.__kwdefaults__
    assert defaults is not None
    assert "batch" in defaults
    defaults["batch"] = 10


CHANGES: dict[str, Callable[[], None]] = {
    "small-claims": small_claims,
    "two-dispatchers": partial(several, 2),
    "four-dispatchers": partial(several, 4),
}
