"""Settings: from the environment, per service, refused with one line that names the variable."""

from pathlib import Path

import pytest

from services.push.settings import PushSettings
from services.shared.errors import SetupError
from services.shared.settings import Settings, load_settings, unknown_variables

RANDOM = "r8Qw2mZp5Lk9Vt3Xc7Nb1Hd6Jf4Gs0Ya"
SCALED = {
    "BAITWELL_DATABASE_URL": "postgresql://baitwell@db/baitwell",
    "BAITWELL_KAFKA_SERVERS": "kafka:9092",
    "BAITWELL_SECRET_KEYS": f"1:{RANDOM}",
    "BAITWELL_CONTACT_KEY": RANDOM,
    "BAITWELL_INTERNAL_KEY": RANDOM,
}


def put(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_the_defaults_run_everything_on_one_machine() -> None:
    settings = load_settings(Settings)
    assert not settings.scaled
    assert settings.public_url == "http://localhost:8000"
    assert settings.data == Path("data")
    assert settings.zone.key == "Asia/Shanghai"


def test_a_variable_of_a_service_goes_before_the_one_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(monkeypatch, BAITWELL_PORT="9000", BAITWELL_PUSH_PORT="9003")
    assert load_settings(Settings).port == 9000
    assert load_settings(PushSettings, "push").port == 9003
    assert load_settings(Settings, "capture").port == 9000


def test_what_is_given_in_code_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(monkeypatch, BAITWELL_PORT="9000")
    assert load_settings(Settings, port=7000).port == 7000


def test_lists_are_words_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, BAITWELL_TRUSTED_PROXIES=" 10.0.0.1, 10.0.0.2 ,")
    assert load_settings(Settings).trusted_proxies == ("10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BAITWELL_PORT", "eighty"),
        ("BAITWELL_PORT", "0"),
        ("BAITWELL_PORT", "70000"),
        ("BAITWELL_TIMEZONE", "Asia/Atlantis"),
        ("BAITWELL_TIMEZONE", "../etc/passwd"),
        ("BAITWELL_PUBLIC_URL", "ftp://bait.example"),
        ("BAITWELL_ENVIRONMENT", "staging"),
        ("BAITWELL_KAFKA_SECURITY_PROTOCOL", "TLS"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    put(monkeypatch, **{name: value})
    with pytest.raises(SetupError) as told:
        load_settings(Settings)
    assert str(told.value).startswith(f"{name} is wrong: ")
    assert "\n" not in str(told.value)


def test_a_wrong_value_of_one_service_is_named_as_it_was_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(monkeypatch, BAITWELL_PORT="9000", BAITWELL_PUSH_PORT="x")
    with pytest.raises(SetupError, match=r"^BAITWELL_PUSH_PORT is wrong"):
        load_settings(PushSettings, "push")


def test_scaled_needs_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, **SCALED)
    assert load_settings(Settings).scaled
    for name in ("BAITWELL_SECRET_KEYS", "BAITWELL_CONTACT_KEY", "BAITWELL_INTERNAL_KEY"):
        with monkeypatch.context() as without:
            without.delenv(name)
            with pytest.raises(SetupError, match=f"^{name} must be set"):
                load_settings(Settings)


@pytest.mark.parametrize("name", ["BAITWELL_DATABASE_URL", "BAITWELL_KAFKA_SERVERS"])
def test_half_of_scaled_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    put(monkeypatch, **SCALED)
    monkeypatch.delenv(name)
    with pytest.raises(SetupError, match="set both"):
        load_settings(Settings)


@pytest.mark.parametrize(
    "value", ["changeme-changeme-changeme", "MySecretMySecretMySecret", "x" * 32]
)
def test_placeholders_are_refused_outside_development(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    put(monkeypatch, **{**SCALED, "BAITWELL_CONTACT_KEY": value})
    with pytest.raises(SetupError, match=r"^BAITWELL_CONTACT_KEY is a placeholder") as told:
        load_settings(Settings)
    assert value not in str(told.value)
    put(monkeypatch, BAITWELL_ENVIRONMENT="development")
    assert load_settings(Settings).contact_key is not None


def test_a_short_secret_is_refused_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, BAITWELL_CONTACT_KEY="short", BAITWELL_ENVIRONMENT="development")
    with pytest.raises(SetupError, match=r"^BAITWELL_CONTACT_KEY is too short"):
        load_settings(Settings)


def test_a_random_secret_is_never_taken_for_a_placeholder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(monkeypatch, **{**SCALED, "BAITWELL_CONTACT_KEY": "aXXxq" + RANDOM})
    assert load_settings(Settings).contact_key is not None


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, **SCALED)
    assert RANDOM not in repr(load_settings(Settings))
    assert "baitwell@db" not in repr(load_settings(Settings))


def test_variables_that_no_setting_knows_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    put(
        monkeypatch,
        BAITWELL_PROT="8000",
        BAITWELL_PUSH_PORT="8003",
        BAITWELL_PUSH_PROT="8003",
        BAITWELL_TEST_ROOT="x",
        OTHER="y",
    )
    kinds: dict[str, type[Settings]] = {"push": PushSettings, "capture": Settings}
    assert unknown_variables(kinds) == ("BAITWELL_PROT", "BAITWELL_PUSH_PROT")
