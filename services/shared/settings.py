"""Settings from the environment: `BAITWELL_X` for all, `BAITWELL_PUSH_X` where push differs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from services.shared.errors import SetupError

# Long enough that no random secret has one of them by chance.
_PLACEHOLDERS = ("changeme", "change-me", "secret", "password", "placeholder", "example", "xxxxxx")

Words = Annotated[tuple[str, ...], NoDecode]
"""A list given as words with commas between them."""

SettingsT = TypeVar("SettingsT", bound="Settings")


def split_words(value: Any) -> Any:
    """The words of a text with commas; anything else as it is."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


class Settings(BaseSettings):
    """What all services are told. Durations are seconds. Secrets never have a working default."""

    model_config = SettingsConfigDict(
        env_prefix="BAITWELL_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    environment: Literal["development", "production"] = "production"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    public_url: str = Field(
        default_factory=lambda known: f"http://localhost:{known.get('port', 8000)}"
    )
    data: Path = Path("data")
    timezone: str = "Asia/Shanghai"

    secret_keys: SecretStr | None = None
    contact_key: SecretStr | None = None
    internal_key: SecretStr | None = None

    database_url: SecretStr | None = None
    database_pool: int = Field(default=8, ge=1, le=100)
    kafka_servers: str | None = None
    kafka_prefix: str = ""
    kafka_replication: int = Field(default=1, ge=1, le=7)
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_security_ca: Path | None = None
    kafka_security_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_security_username: str | None = None
    kafka_security_password: SecretStr | None = None

    trusted_proxies: Words = ()
    capture_url: str = "http://localhost:8001"
    profile_url: str = "http://localhost:8002"
    push_url: str = "http://localhost:8003"
    metrics_url: str = "http://localhost:8004"

    outbox_limit: int = Field(default=1_000_000, ge=100)

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("no such time zone") from error
        return value

    @field_validator("public_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @property
    def scaled(self) -> bool:
        """Whether PostgreSQL and Kafka are in use."""
        return self.database_url is not None or self.kafka_servers is not None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        service = init_settings().get("for_service")
        if not isinstance(service, str):
            return (init_settings, env_settings)
        own = EnvSettingsSource(settings_cls, env_prefix=f"BAITWELL_{service.upper()}_")
        return (init_settings, own, env_settings)

    for_service: str | None = None


def load_settings(kind: type[SettingsT], service: str | None = None, **overrides: Any) -> SettingsT:
    """Read the settings of a service, of its own kind (service None: those of the whole process).

    Raises `SetupError` with one line that names the variable and what is wrong with it.
    """
    try:
        settings = kind(for_service=service, **overrides)
    except ValidationError as error:
        first = error.errors()[0]
        field = "_".join(str(part) for part in first["loc"]).upper()
        own = f"BAITWELL_{service}_{field}".upper()
        name = own if service and own in os.environ else f"BAITWELL_{field}"
        raise SetupError(f"{name} is wrong: {first['msg']}") from error
    _check_secrets(settings)
    return settings


def _check_secrets(settings: Settings) -> None:
    if settings.scaled and not (settings.database_url and settings.kafka_servers):
        raise SetupError("set both BAITWELL_DATABASE_URL and BAITWELL_KAFKA_SERVERS, or neither")
    for name in ("secret_keys", "contact_key", "internal_key"):
        value: SecretStr | None = getattr(settings, name)
        variable = f"BAITWELL_{name.upper()}"
        if value is None:
            if settings.scaled:
                raise SetupError(f"{variable} must be set when PostgreSQL and Kafka are used")
            continue
        text = value.get_secret_value()
        if len(text) < 16:
            raise SetupError(f"{variable} is too short: make a random one of 32 letters")
        if settings.environment == "development":
            continue
        if any(word in text.lower() for word in _PLACEHOLDERS):
            raise SetupError(f"{variable} is a placeholder: make a random one of 32 letters")


def unknown_variables(kinds: Mapping[str, type[Settings]]) -> tuple[str, ...]:
    """The variables set now that no setting knows (most likely typing errors).

    `kinds` are the settings of the services by their names.
    """
    known: set[str] = set()
    for service, kind in kinds.items():
        for name in kind.model_fields:
            known |= {f"BAITWELL_{name}".upper(), f"BAITWELL_{service}_{name}".upper()}
    return tuple(
        sorted(
            name
            for name in os.environ
            if name.startswith("BAITWELL_")
            and not name.startswith("BAITWELL_TEST_")
            and name not in known
        )
    )
