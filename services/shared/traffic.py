"""How busy a process is with answering people. Background work in the same loop steps aside for them."""

from services.shared.clock import Clock

_WINDOW = 0.1
_CROWD = 20
"""So many requests under way, or arrived within a window (200 a second), are full pressure."""

_BEHIND = 3.0
"""How long a relay or a consumer rests after a turn, in turns, while a dispatcher sends, or to let work gather."""

_PATIENCE = 0.5
"""Seconds that nobody rests longer for campaigns, however many loops follow: what people say (who leaves, say) goes
through a relay and a consumer, and push's view of them may be 3 s old."""

_ASIDE = 7
"""For so many times the length of a background turn the loop belongs to a crowd."""
_LOOK = 0.005
"""Seconds after which a resting loop looks whether anybody still waits."""

_LEAST = 200

_TURN_BESIDE = 0.25
_GATHER = 0.1
_FULL = 1000
"""Where the loop is free while a database works: how long a turn may be, how long the next one lets work gather
at most, and half of how many items, or of what a turn may take, is enough not to."""
_BITE = 250
"""How many items at most, there, while people ask: their rows are read and written in the loop all the same."""

_IDLE_AFTER = 0.02
_IDLE_LATE = 0.3
"""A loop of which less than this share of the rest was late is not as busy as to be left alone."""


class Traffic:
    """Counts the requests that are being answered, and shares the rest of the loop. One per process.

    All background loops together get what the requests leave: nobody asks, all of it; people ask, down
    to an eighth of the time, one loop after the other.

    `inline`: transactions run in the loop, as SQLite's do. Where they do not, the loop answers people while the
    database works, and nobody rests for them.
    """

    def __init__(self, clock: Clock, *, inline: bool = True) -> None:
        self._clock = clock
        self.inline = inline
        self._under_way = 0
        self._since = float("-inf")
        self._arrived = 0
        self._before = 0
        self._free_at = float("-inf")
        self._sent_at = float("-inf")
        self._follow_at = float("-inf")
        self.catching_up = False
        """Something bounded was full: background loops do not step aside until it has room again."""

    def began(self) -> None:
        """A request has arrived."""
        self._under_way += 1
        self._roll()
        self._arrived += 1

    def went_on(self) -> None:
        """One that was still to come in part has come: it is under way again."""
        self._under_way += 1

    def ended(self) -> None:
        """It has been answered, or waits for the rest of what its sender says."""
        self._under_way -= 1

    def _roll(self) -> None:
        now = self._clock.monotonic()
        if now - self._since > _WINDOW:
            self._before = self._arrived if now - self._since < 2 * _WINDOW else 0
            self._arrived = 0
            self._since = now

    @property
    def pressure(self) -> float:
        """0 while nobody asks for anything or much has to be caught up with, 1 while a crowd asks."""
        self._roll()
        if self.catching_up:
            return 0.0
        crowd = max(self._under_way, self._arrived, self._before)
        return min(1.0, max(0, crowd - 1) / _CROWD)

    async def enter(self) -> None:
        """Wait for the turn of a background loop."""
        while (wait := self._free_at - self._clock.monotonic()) > 0:
            await self._rest(wait)

    async def _rest(self, seconds: float) -> None:
        """Rest, but not on and on while nobody is waiting for an answer: many may ask, each answered at once."""
        await self._clock.sleep(min(seconds, _LOOK))
        if not self._under_way:
            self._free_at = min(self._free_at, self._clock.monotonic())

    def leave(self, seconds: float) -> None:
        """A background loop has worked for `seconds`: the loop belongs to others for a while."""
        if not self.inline:
            return
        rest = min(_ASIDE * seconds * self.pressure, 0.25)
        self._free_at = max(self._free_at, self._clock.monotonic()) + rest

    def sending(self) -> None:
        """A dispatcher has messages on the wire: whoever only follows (relays, consumers) steps aside for it.

        Each of their turns costs a commit or two, however little it moves: resting in between, they move more
        in a turn, and altogether they take less than half of the time.
        """
        self._sent_at = self._clock.monotonic()

    async def enter_following(self) -> None:
        """Wait for the turn of a loop that moves what others have done."""
        began = self._clock.monotonic()
        slept = 0.0
        while True:
            # those who had their turn meanwhile put off the others'
            follow_at = min(self._follow_at, began + _PATIENCE)
            wait = max(self._free_at, follow_at) - self._clock.monotonic()
            if wait <= 0:
                return
            await self._rest(wait)
            slept += min(wait, _LOOK)
            resting = self._clock.monotonic() - began
            if resting > _IDLE_AFTER and resting - slept < _IDLE_LATE * resting:
                # what is on the wire waits for somebody else: the loop is free meanwhile
                self._follow_at = min(self._follow_at, self._clock.monotonic())

    def leave_following(self, seconds: float) -> None:
        """Such a loop has worked for `seconds`."""
        self.leave(seconds)
        now = self._clock.monotonic()
        if self.inline and now - self._sent_at < _WINDOW:
            rest = min(_BEHIND * seconds, 0.25)
            self._follow_at = min(max(self._follow_at, now) + rest, now + _PATIENCE)


class Pace:
    """How much a background loop takes at a time: what fits into 50 ms, into 5 ms while people wait.

    Where the loop is free while the database works it is what fits into a quarter of a second, and what costs is
    the number of turns, each with its commit and a dozen of round trips: after one that found less than half of what it may
    take the next one waits for three times as long as that one took.
    """

    def __init__(self, traffic: Traffic, clock: Clock, *, most: int) -> None:
        self._traffic = traffic
        self._clock = clock
        self._most = most
        self._each = 0.0002
        self._given = most

    @property
    def limit(self) -> int:
        """How many to take next."""
        self._given = self._allowed()
        return self._given

    def _allowed(self) -> int:
        pressure = self._traffic.pressure
        if not self._traffic.inline:
            most = self._most if pressure == 0 else min(_BITE, self._most)
            return max(min(_LEAST, most), min(most, int(_TURN_BESIDE / self._each)))
        turn = 0.05 - 0.045 * pressure
        # what one takes was learned beside others' work: never so few that a turn is all commit
        least = 5 if pressure > 0 else _LEAST
        return max(min(least, self._most), min(self._most, int(turn / self._each)))

    async def enter(self) -> float:
        """Wait for a turn; the moment at which it begins, for `leave`."""
        await self._traffic.enter_following()
        return self._clock.monotonic()

    async def leave(self, began: float, done: int) -> None:
        """After `done` items: learn how long one takes, and let others have the loop."""
        seconds = self._clock.monotonic() - began
        if done:
            self._each = max(1e-6, 0.7 * self._each + 0.3 * seconds / done)
        self._traffic.leave_following(seconds)
        gathers = not self._traffic.inline and 0 < done < min(_FULL, self._given) / 2
        await self._clock.sleep(min(_BEHIND * seconds, _GATHER) if gathers else 0)
