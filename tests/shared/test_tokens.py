"""Tokens in links: genuine ones are read for ever, everything else is refused alike."""

import base64
from uuid import UUID

import pytest

from services.shared.errors import SetupError
from services.shared.tokens import BadToken, KeyRing, Kind, Tokens

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
OLD = "1:the first secret of all"
RING = KeyRing.parse(OLD)
TOKENS = Tokens(RING)
KINDS: tuple[Kind, ...] = ("c", "o", "u", "r", "s")


def test_what_was_signed_comes_back() -> None:
    token = TOKENS.sign("c", ID, 513, "https://shop.example/?a=1&b=名")
    assert TOKENS.verify("c", token, "https://shop.example/?a=1&b=名") == (ID, 513)


def test_a_token_never_changes() -> None:
    """A vector: links that are out there must go on working."""
    assert TOKENS.sign("u", ID) == "AQGJCl2slndLvM6zAgmagFcAAKOAZphJsWAvV0Wru_D-x_Q"


def test_a_token_fits_into_a_url_and_says_nothing_of_its_kind() -> None:
    tokens = {TOKENS.sign(kind, ID) for kind in KINDS}
    assert len(tokens) == len(KINDS)
    for token in tokens:
        assert len(token) == 47
        assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_another_kind_is_refused(kind: Kind) -> None:
    token = TOKENS.sign(kind, ID)
    for other in KINDS:
        if other != kind:
            with pytest.raises(BadToken):
                TOKENS.verify(other, token)


def test_a_token_bound_to_something_else_is_refused() -> None:
    token = TOKENS.sign("c", ID, 1, "https://shop.example/a")
    for bound in ("", "https://shop.example/", "https://shop.example/a/", "https://evil.example/"):
        with pytest.raises(BadToken):
            TOKENS.verify("c", token, bound)


def test_every_bit_of_a_token_counts() -> None:
    token = TOKENS.sign("o", ID, 1)
    raw = base64.urlsafe_b64decode(token + "=")
    for bit in range(len(raw) * 8):
        forged = bytearray(raw)
        forged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadToken):
            TOKENS.verify("o", base64.urlsafe_b64encode(forged).rstrip(b"=").decode())


def test_there_is_one_way_to_write_a_token() -> None:
    token = TOKENS.sign("o", ID)
    others = [
        token[:-1],
        token + "A",
        token + "=",
        token + "\n",
        " " + token,
        token[:-1] + ("B" if token[-1] == "A" else "A" if token[-1] < "Z" else "_"),
        token.replace("-", "+").replace("_", "/") + "+",
        "",
        "é" * 47,
        "\ud800",
        "A" * 10_000,
    ]
    for other in others:
        with pytest.raises(BadToken):
            TOKENS.verify("o", other)


def test_after_a_rotation_the_first_key_signs_and_all_verify() -> None:
    rotated = Tokens(KeyRing.parse(f"2:a newer secret as long,{OLD}"))
    old, new = TOKENS.sign("u", ID), rotated.sign("u", ID)
    assert rotated.verify("u", old) == (ID, 0)
    assert rotated.verify("u", new) == (ID, 0)
    with pytest.raises(BadToken):
        TOKENS.verify("u", new)


def test_a_secret_alone_is_number_one_even_with_colons() -> None:
    plain = Tokens(KeyRing.parse("the first secret of all"))
    assert plain.verify("u", TOKENS.sign("u", ID)) == (ID, 0)
    assert KeyRing.parse("a:secret:with:colons").signing == 1
    assert KeyRing.parse("7:a:secret:with:colons").signing == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "1:short",
        "0:a secret of some length",
        "256:a secret of some length",
        "1:a secret of some length,1:another secret, longer",
        "1:a secret of some length,",
    ],
)
def test_a_ring_that_cannot_be_used_is_refused_with_one_line(text: str) -> None:
    with pytest.raises(SetupError) as told:
        KeyRing.parse(text)
    assert "BAITWELL_SECRET_KEYS" in str(told.value)
    assert "\n" not in str(told.value)
    assert "secret of some" not in str(told.value)
