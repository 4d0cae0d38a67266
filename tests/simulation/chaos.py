"""What goes wrong in a run, and when: all of it drawn from the seed."""

import random

from services.shared.clock import Clock


class Crash(BaseException):
    """The process ends here. No code of the product catches it."""


class Chaos:
    """Counts the points at which a process may die, and lets it die at the one that was drawn.

    A point is every turn of the loop (so every await), and both sides of every commit and every append.
    """

    def __init__(self, rng: random.Random, clock: Clock, *, trouble: float) -> None:
        self._rng = rng
        self._clock = clock
        self._trouble = trouble
        self._left: int | None = None
        self.dead = False
        self.points = 0
        self.crashes: list[str] = []

    def arm(self, points: int | None) -> None:
        """A process starts; it dies after so many points (None: it does not)."""
        self.dead = False
        self._left = points

    def point(self, where: str) -> None:
        """Die here, if it is time. Whoever is dead already stays so: it can't write any more."""
        if self.dead:
            raise Crash(where)
        self.points += 1
        if self._left is None:
            return
        self._left -= 1
        if self._left <= 0:
            self.dead = True
            self.crashes.append(where)
            raise Crash(where)

    def calm(self) -> None:
        """No more outages and delays from now on."""
        self._trouble = 0.0

    def strikes(self) -> bool:
        """Whether a call to a resource fails this time."""
        return self._trouble > 0 and self._rng.random() < self._trouble

    async def delay(self) -> None:
        """Others come first, sometimes for long."""
        if self._trouble == 0:
            return
        drawn = self._rng.random()
        if drawn < 0.5:
            return
        if drawn < 0.97:
            await self._clock.sleep(0)
        else:
            await self._clock.sleep(self._rng.uniform(0.001, 1.0))
