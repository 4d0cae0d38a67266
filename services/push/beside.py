"""What of push may run in a process beside it: planning and dispatching. What the two tell each other."""

from dataclasses import asdict
from typing import Any

from services.push.deliveries.dispatcher import Status
from services.push.sending import Sending
from services.shared.app import Aside
from services.shared.runner.supervisor import BackgroundTask


def aside_of(sending: Sending, planner: BackgroundTask) -> Aside:
    """The sending half, for one process or two."""
    told = _Told(sending)
    return Aside(
        tasks=(*sending.dispatching, planner),
        also=sending.guards,
        report=told.report,
        told=told.told,
        facts=told.facts,
        learn=told.learn,
        busy=told.busy,
    )


class _Told:
    def __init__(self, sending: Sending) -> None:
        self._desk = sending.desk
        self._metrics = sending.metrics

    def report(self) -> dict[str, Any]:
        """How the dispatchers are, and what they have counted."""
        return {
            "status": [asdict(dispatcher.status) for dispatcher in self._desk.dispatchers],
            "counted": self._metrics.counted(),
        }

    def told(self, report: dict[str, Any]) -> None:
        """Show what the dispatchers beside report."""
        statuses = zip(self._desk.dispatchers, report["status"], strict=True)
        for dispatcher, status in statuses:
            dispatcher.status = Status(**status)
        self._metrics.take(report["counted"])

    def facts(self) -> dict[str, Any]:
        """What only the process knows that consumes: as of when it knows whom push may reach."""
        return {"known": self._desk.freshness.known}

    def learn(self, facts: dict[str, Any]) -> None:
        """The facts of the process that consumes."""
        self._desk.freshness.learn(facts["known"])

    def busy(self) -> bool:
        """A campaign's messages are on the wire."""
        return any(dispatcher.status.bulk for dispatcher in self._desk.dispatchers)
