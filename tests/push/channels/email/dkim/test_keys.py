"""Which keys are taken, and what is said of the others."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from services.push.channels.email.dkim.keys import KeyInvalid, new_key, read_keys
from tests.push.channels.email.dkim.verifying import BRAND, ED25519, RSA


def pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def test_keys_are_read_from_files_and_from_the_setting_itself(tmp_path: Path) -> None:
    file = tmp_path / "rsa.pem"
    file.write_bytes(RSA.pem())
    der = tmp_path / "ed.der"
    der.write_bytes(ED25519.der())
    inline = base64.b64encode(BRAND.der()).decode()
    keys = read_keys(
        f"shop.example:s1:{file}, Shop.Example:S2:{der} ,brand.example:b1:base64:{inline},"
    )
    assert [key.record_name for key in keys] == [
        "s1._domainkey.shop.example",
        "s2._domainkey.shop.example",
        "b1._domainkey.brand.example",
    ]
    assert [key.record for key in keys] == [RSA.record, ED25519.record, BRAND.record]


def test_nothing_is_no_key() -> None:
    assert read_keys(" , ") == ()


def test_a_domain_in_letters_of_its_own_is_named_as_dns_does() -> None:
    assert new_key("bücher.example", "s1", "ed25519").record_name == (
        "s1._domainkey.xn--bcher-kva.example"
    )


def test_records_are_what_the_rfcs_ask_for() -> None:
    assert RSA.record.startswith("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A")
    prefix, _, public = ED25519.record.rpartition("p=")
    assert prefix == "v=DKIM1; k=ed25519; "
    assert len(base64.b64decode(public)) == 32


def test_a_key_is_not_shown_by_accident() -> None:
    assert "PrivateKey" not in repr(RSA)


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"", "no private key in PEM or DER"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "no private key"),
        (
            RSA.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "is a public key",
        ),
        (pem(ec.generate_private_key(ec.SECP256R1())), "neither RSA nor Ed25519"),
        (
            pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"x")),
            "has a password",
        ),
        (None, "can't be read"),
    ],
)
def test_a_wrong_key_is_named_in_one_line_without_what_it_holds(
    tmp_path: Path, octets: bytes | None, says: str
) -> None:
    file = tmp_path / "key.pem"
    if octets is not None:
        file.write_bytes(octets)
    with pytest.raises(KeyInvalid, match=says) as refusal:
        read_keys(f"shop.example:s1:{file}")
    assert "\n" not in str(refusal.value)
    assert "MII" not in str(refusal.value)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("shop.example:s1", "entry 1 must read domain:selector:file"),
        ("shop.example:s1:", "entry 1 must read"),
        ("shop:s1:/x", "the domain"),
        ("shop.example:s 1:/x", "a selector"),
        ("shop.example:s1:base64:####", "no private key"),
        (f"shop.example:s1:base64:{base64.b64encode(b'secret').decode()}", "no private key"),
        # the word is missing, or the file's text stands for the file
        (f"shop.example:s1:{base64.b64encode(ED25519.der()).decode()}", "can't be read"),
        (f"shop.example:s1:{RSA.pem().decode()}", "can't be read"),
    ],
    # the same names in every process of a test run, which the keys are not
    ids=["no file", "empty file", "domain", "selector", "not base64", "no key", "a key", "a PEM"],
)
def test_a_wrong_setting_is_named_in_one_line(setting: str, says: str) -> None:
    with pytest.raises(KeyInvalid, match=says) as refusal:
        read_keys(setting)
    assert "\n" not in str(refusal.value)
    assert "base64:" not in str(refusal.value)
    assert "PRIVATE" not in str(refusal.value)
    assert base64.b64encode(ED25519.der()).decode() not in str(refusal.value)


def test_two_keys_of_a_kind_for_one_domain_are_one_too_many(tmp_path: Path) -> None:
    file = tmp_path / "rsa.pem"
    file.write_bytes(RSA.pem())
    with pytest.raises(KeyInvalid, match="two rsa keys"):
        read_keys(f"shop.example:s1:{file},shop.example:s2:{file}")
