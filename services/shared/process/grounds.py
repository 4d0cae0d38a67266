"""What the services of one process stand on together, and the ground of each of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.shared.auth.keys import Keys
from services.shared.bus import Bus
from services.shared.clock import Clock
from services.shared.contact import ContactKeys
from services.shared.database import Database
from services.shared.errors import SetupError
from services.shared.ground import Ground
from services.shared.http.internal import InternalClient
from services.shared.ids import Ids
from services.shared.process.directory import Secrets
from services.shared.settings import Settings
from services.shared.telemetry import Telemetry
from services.shared.tokens import KeyRing, Tokens
from services.shared.traffic import Traffic


def secret(value: SecretStr | None, variable: str, made: str | None = None) -> str:
    """The text of a secret: what is set, else what the data directory made. Raises `SetupError`."""
    if value is not None and value.get_secret_value():
        return value.get_secret_value()
    if made is None:
        raise SetupError(f"{variable} must be set")
    return made


@dataclass(frozen=True)
class Footing:
    """Everything but the database and the settings, which are each service's own."""

    clock: Clock
    ids: Ids
    bus: Bus
    tokens: Tokens
    contact_keys: ContactKeys
    keys: Keys
    telemetry: Telemetry
    neighbours: Mapping[str, InternalClient]
    traffic: Traffic

    def ground(
        self, service: str, member: str, settings: Settings, database: Database
    ) -> Ground[Any]:
        """The ground of one service."""
        return Ground(
            service=service,
            member=member,
            settings=settings,
            clock=self.clock,
            ids=self.ids,
            database=database,
            bus=self.bus,
            tokens=self.tokens,
            contact_keys=self.contact_keys,
            keys=self.keys,
            telemetry=self.telemetry,
            neighbours=self.neighbours,
            traffic=self.traffic,
        )


def lay(
    settings: Settings,
    made: Secrets | None,
    clock: Clock,
    bus: Bus,
    keys: Keys,
    neighbours: Mapping[str, InternalClient],
) -> Footing:
    """What a process stands on. `made`: the secrets of its data directory, None where it has none.

    Raises `SetupError` when a secret is neither set nor made.
    """
    ring = secret(settings.secret_keys, "BAITWELL_SECRET_KEYS", made.secret_keys if made else None)
    pepper = secret(
        settings.contact_key, "BAITWELL_CONTACT_KEY", made.contact_key if made else None
    )
    return Footing(
        clock=clock,
        ids=Ids(clock),
        bus=bus,
        tokens=Tokens(KeyRing.parse(ring)),
        contact_keys=ContactKeys(pepper.encode()),
        keys=keys,
        telemetry=Telemetry(CollectorRegistry()),
        neighbours=neighbours,
        traffic=Traffic(clock, inline=made is not None),
    )
