"""The event log as a port: the contract in `base`, SQLite for one machine, Kafka for many."""

from services.shared.bus.base import (
    Batch,
    Bus,
    BusUnavailable,
    MessageTooLarge,
    Partition,
    Positions,
    Subscription,
)

__all__ = [
    "Batch",
    "Bus",
    "BusUnavailable",
    "MessageTooLarge",
    "Partition",
    "Positions",
    "Subscription",
]
