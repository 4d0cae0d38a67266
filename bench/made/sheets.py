"""Rows of a sheet as dealers keep them: names and phones written in every way, twice, and wrong.

The same seed makes the same rows. A tenth is somebody who was there before, written another way; one row in
twenty can't be taken (no contact, or none that could be one).
"""

import random
from collections.abc import Iterator

from bench.made.leads import CITIES

COLUMNS = ("name", "email", "phone", "city", "company", "agreed", "agreed_on", "note")
Row = dict[str, str]

_NAMES = (
    "王伟",
    "李娜",
    "Zhang Min",
    "Anna Rossi",
    "John O'Neil",
    "José Álvarez",
    "陈 静",
    "Müller, Jan",
)
_COMPANIES = ("宁波日用品有限公司", "Rossi & Figli S.r.l.", "Nordwind GmbH", "O'Neil Trading", "")
_NOTES = (
    "",
    "met at the fair",
    '=HYPERLINK("x")',
    "wants prices, not calls",
    "老客户",
    'says "maybe"',
)
_YES = ("yes", "Y", "1", "是", "true", "同意")
_NO = ("no", "", "否", "0")


def dirty_rows(count: int, *, seed: int = 1) -> Iterator[Row]:
    """So many rows."""
    dice = random.Random(seed)
    for number in range(count):
        who = dice.randrange(number) if number and dice.random() < 0.1 else number
        yield _row(who, dice)


def _row(who: int, dice: random.Random) -> Row:
    agreed = dice.random() < 0.7
    return {
        "name": _spaced(f"{_NAMES[who % len(_NAMES)]} {who}", dice),
        "email": _email(who, dice),
        "phone": _phone(who, dice),
        "city": _spaced(CITIES[who % len(CITIES)], dice),
        "company": _COMPANIES[who % len(_COMPANIES)],
        "agreed": dice.choice(_YES if agreed else _NO),
        "agreed_on": _day(dice) if agreed else "",
        "note": dice.choice(_NOTES),
    }


def _email(who: int, dice: random.Random) -> str:
    turn = dice.random()
    address = f"buyer{who}@dealers.example"
    if turn < 0.05:
        return dice.choice(("n/a", "none", "buyer@", "buyer dealers.example", ""))
    if turn < 0.25:
        return address.upper()
    if turn < 0.35:
        return f"  {address} "
    return address


def _phone(who: int, dice: random.Random) -> str:
    digits = f"138{who % 100_000_000:08d}"
    turn = dice.random()
    if turn < 0.3:
        return ""
    if turn < 0.35:
        return dice.choice(("12345", "ask", "0000000"))
    return dice.choice(
        (
            digits,
            f"+86 {digits[:3]} {digits[3:7]} {digits[7:]}",
            f"0086-{digits}",
            f"({digits[:3]}) {digits[3:7]}-{digits[7:]}",
            "".join(chr(0xFF10 + int(digit)) for digit in digits),
        )
    )


def _day(dice: random.Random) -> str:
    year, month, day = 2024 + dice.randrange(2), 1 + dice.randrange(12), 1 + dice.randrange(28)
    return dice.choice(
        (f"{year}-{month:02}-{day:02}", f"{day}.{month}.{year}", f"{year}/{month}/{day}")
    )


def _spaced(text: str, dice: random.Random) -> str:
    return f" {text}  " if dice.random() < 0.2 else text
