"""The same program with something put in place of a part of it: times that are shorter, a clock that is wrong.

    python -m tests.chaos.changed quick-leases,early-answer run push

Words with commas between; a saboteur's name is one, too. Nothing in the product knows of this.
"""

import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from services.__main__ import main as services
from services.push import sending
from services.push.deliveries import dispatcher
from services.push.deliveries.states import Retry
from services.shared.bus.kafka_client import KafkaTimes
from services.shared.process import serve
from services.shared.process.bounds import Patience
from tests.chaos import (
    dispatchers,
    saboteurs_away,
    saboteurs_mail,
    saboteurs_security,
    wrong_clock,
)
from tests.chaos.sabotaged import SABOTEURS
from tests.chaos.switches import SWITCHES


def quick_leases() -> None:
    """What a dispatcher held when it was killed comes back after seconds, in place of half a minute."""
    _rule(lease=timedelta(seconds=4))
    put(dispatcher, "_RENEW", 1.0)
    put(dispatcher, "_REAP", 0.5)


def quick_retries() -> None:
    """What is tried again is tried after a second, in place of minutes."""
    retry = Retry(
        first=timedelta(seconds=0.5),
        longest=timedelta(seconds=1),
        shortest=timedelta(seconds=0.2),
    )
    _rule(retry=retry)
    put(dispatcher, "_CONNECT_PAUSE", 0.5)


def quick_sessions() -> None:
    """A silent member is given up by the brokers after the shortest time that they allow."""
    # imported here: the one-process mode has no use for Kafka
    from services.shared.bus import kafka

    defaults = kafka.KafkaBus.__init__.__kwdefaults__
    assert defaults is not None
    assert "times" in defaults
    defaults["times"] = KafkaTimes(session=6.0)


def quick_patience() -> None:
    """Slow callers are let go after seconds."""
    put(serve, "Patience", partial(Patience, head=4.0, body=6.0, slowest=512 * 1024, answer=6.0))


def _rule(**changes: Any) -> None:
    rules: Any = vars(sending)["Rules"]
    put(sending, "Rules", partial(rules, **changes))


def put(owner: Any, name: str, piece: Any) -> None:
    """Put `piece` in the place of a part that must be there."""
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, piece)


CHANGES: dict[str, Callable[[], None]] = {
    "quick-leases": quick_leases,
    "quick-patience": quick_patience,
    "quick-retries": quick_retries,
    "quick-sessions": quick_sessions,
    **SWITCHES,
    **dispatchers.CHANGES,
    **wrong_clock.CHANGES,
}


def _piece(word: str) -> Callable[[], None]:
    known = {
        **CHANGES,
        **SABOTEURS,
        **saboteurs_mail.SABOTEURS,
        **saboteurs_away.SABOTEURS,
        **wrong_clock.SABOTEURS,
        **saboteurs_security.SABOTEURS,
    }
    return known[word]


def main() -> int:
    """The command."""
    for word in sys.argv[1].split(","):
        _piece(word)()
    return services(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
