"""The ground under one service: every collaborator it is given, made once per process start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry

from services.shared.auth.keys import Keys
from services.shared.bus import Bus
from services.shared.clock import Clock
from services.shared.contact import ContactKeys
from services.shared.database import Database
from services.shared.http.internal import InternalClient
from services.shared.ids import Ids
from services.shared.settings import Settings
from services.shared.telemetry import Telemetry
from services.shared.tokens import Tokens
from services.shared.traffic import Traffic

SettingsT = TypeVar("SettingsT", bound=Settings)


@dataclass(frozen=True)
class Ground(Generic[SettingsT]):
    """What a service stands on. Tests build one with fakes at the ports.

    `member` is this process's name among its equals; it survives a restart.
    """

    service: str
    member: str
    settings: SettingsT
    clock: Clock
    ids: Ids
    database: Database
    bus: Bus
    tokens: Tokens
    contact_keys: ContactKeys
    keys: Keys
    telemetry: Telemetry
    neighbours: Mapping[str, InternalClient]
    traffic: Traffic

    @property
    def registry(self) -> CollectorRegistry:
        return self.telemetry.registry
