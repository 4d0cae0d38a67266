"""The `dkim` command, and what the doctor says of keys."""

import re
from pathlib import Path

import pytest

from services.push.channels.email.dkim import commands
from services.push.settings import PushSettings
from services.shared.errors import SetupError
from services.shared.settings import load_settings
from tests.push.channels.email.dkim.verifying import RSA


def settings(**given: str) -> PushSettings:
    return load_settings(PushSettings, "push", **given)


def text_of(line: str) -> str:
    return "".join(re.findall(r'"([^"]*)"', line))


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_new_key_works_with_the_setting_that_is_shown(tmp_path: Path, kind) -> None:
    out = tmp_path / "key.pem"
    said: list[str] = []
    assert commands.new("shop.example", "s1", kind, out, said.append) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    entry = said[-1].splitlines()[-1]
    again: list[str] = []
    assert commands.records(settings(dkim_keys=entry), again.append) == 0
    assert again == [said[1]]
    assert text_of(again[0]).startswith(f"v=DKIM1; k={kind}; p=")
    assert "PRIVATE" not in "".join(said)


def test_the_strings_of_a_record_fit_into_dns() -> None:
    strings = re.findall(r'"([^"]*)"', commands.record_line(RSA))
    assert max(map(len, strings)) <= 255
    assert "".join(strings) == RSA.record


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    out = tmp_path / "key.pem"
    out.write_text("precious")
    with pytest.raises(SetupError, match="can't be written"):
        commands.new("shop.example", "s1", "ed25519", out, print)
    assert out.read_text() == "precious"


def test_a_domain_that_is_none_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "key.pem"
    with pytest.raises(SetupError, match="domain"):
        commands.new("no domain", "s1", "ed25519", out, print)
    assert not out.exists()


def test_no_keys_have_no_records() -> None:
    said: list[str] = []
    assert commands.records(settings(), said.append) == 1
    assert "not signed" in said[0]


def test_the_doctor_says_whether_keys_can_be_used(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(RSA.pem())
    entry = f"shop.example:s1:{file}"
    sender = "Shop <hello@shop.example>"
    assert commands.verdict(settings()).startswith("ok")
    well = commands.verdict(settings(dkim_keys=entry, mail_from=sender))
    assert well == "ok: s1._domainkey.shop.example (rsa)"
    assert commands.verdict(settings(dkim_keys=entry)).startswith("no key for baitwell.example")
    file.write_bytes(b"not a key")
    wrong = commands.verdict(settings(dkim_keys=entry, mail_from=sender))
    assert wrong == (
        "BAITWELL_DKIM_KEYS is wrong: the key s1 of shop.example is no private key in PEM or DER"
    )


def test_the_setting_is_not_shown_by_accident() -> None:
    shown = repr(settings(dkim_keys="shop.example:s1:base64:AAAA"))
    assert "AAAA" not in shown
