"""What the process maker has to know of a service."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sqlalchemy import MetaData

from services.shared.app import Service
from services.shared.ground import Ground
from services.shared.settings import Settings


@dataclass(frozen=True)
class ServiceKind:
    """A service as a value: its name, its settings, its tables, and how it is built on a ground."""

    name: str
    settings: type[Settings]
    metadata: MetaData
    migrations: ModuleType
    build: Callable[[Ground[Any]], Service]
    runs_aside: Callable[[Any], bool] = lambda _settings: False
    """Whether, with these settings, its `Service.aside` is worth a process."""
