"""How busy a process is with answering people. Background work in the same loop steps aside for them."""

from services.shared.clock import Clock

_RECENT = 0.02


class Traffic:
    """Counts the requests that are being answered. One per process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way = 0
        self._last = float("-inf")

    def began(self) -> None:
        """A request has arrived."""
        self._under_way += 1

    def ended(self) -> None:
        """It has been answered."""
        self._under_way -= 1
        self._last = self._clock.monotonic()

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer, or did a moment ago."""
        return self._under_way > 1 or self._clock.monotonic() - self._last < _RECENT


class Pace:
    """How much a background loop takes at a time, and how long it rests afterwards.

    While nobody waits it takes all it can within 50 ms; while people do, what fits into 8 ms, and then it
    leaves the loop to them for three times as long as it took.
    """

    def __init__(self, traffic: Traffic, clock: Clock, *, most: int) -> None:
        self._traffic = traffic
        self._clock = clock
        self._most = most
        self._each = 0.0002

    @property
    def limit(self) -> int:
        """How many to take next."""
        turn = 0.008 if self._traffic.busy else 0.05
        return max(10, min(self._most, int(turn / self._each)))

    def start(self) -> float:
        """The moment at which a piece of work begins, for `rest`."""
        return self._clock.monotonic()

    async def rest(self, started: float, done: int) -> None:
        """After `done` items: learn how long one takes, and step aside."""
        seconds = self._clock.monotonic() - started
        if done:
            self._each = max(1e-6, 0.7 * self._each + 0.3 * seconds / done)
        await self._clock.sleep(min(3 * seconds, 0.2) if self._traffic.busy else 0)
