"""Contacts as people type them, the identity by which they meet, and keys that must never change."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from services.shared.contact import BadAddress, Channel, Contact, ContactKeys, parse_contact
from services.shared.reasons import REASONS

KEYS = ContactKeys(b"a pepper for vectors")


def identity(channel: Channel, typed: str, **parts: str) -> str:
    return parse_contact(channel, typed, **parts).identity


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Li.Na@Example.com", "li.na@example.com"),
        ("  a@b.cn ", "a@b.cn"),
        ("ａ＠ｂ．ｃｎ", "a@b.cn"),
        ("a+tag@b.cn", "a+tag@b.cn"),
        ("a@例子.中国", "a@xn--fsqu00a.xn--fiqs8s"),
        ("a@XN--FSQU00A.xn--fiqs8s", "a@xn--fsqu00a.xn--fiqs8s"),
        ("用户@例子.中国", "用户@xn--fsqu00a.xn--fiqs8s"),
        ("o'brien@example.co.uk", "o'brien@example.co.uk"),
    ],
)
def test_email(typed: str, expected: str) -> None:
    assert identity(Channel.EMAIL, typed) == expected


def test_an_address_is_kept_for_sending_as_it_was_typed_but_for_its_domain() -> None:
    assert parse_contact(Channel.EMAIL, "Li.Na@Example.com").address == "Li.Na@example.com"


@pytest.mark.parametrize(
    "typed",
    [
        "a",
        "a@",
        "@b.cn",
        "a@b",
        "a@b..cn",
        "a b@c.cn",
        "a@b.cn\nBcc: x@y.cn",
        "a\r\n@b.cn",
        "a\x00@b.cn",
        "a@b.cn,c@d.cn",
        "<a@b.cn>",
        "Li <a@b.cn>",
        '"a b"@c.cn',
        "a@[127.0.0.1]",
        "a@localhost",
        ".a@b.cn",
        "a\u202e@b.cn",
    ],
)
def test_what_is_no_email(typed: str) -> None:
    with pytest.raises(BadAddress) as told:
        parse_contact(Channel.EMAIL, typed)
    assert told.value.reason == "not_email"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("13800138000", "+8613800138000"),
        ("138 0013 8000", "+8613800138000"),
        ("138-0013-8000", "+8613800138000"),
        ("１３８００１３８０００", "+8613800138000"),
        ("+86 138 0013 8000", "+8613800138000"),
        ("＋８６１３８００１３８０００", "+8613800138000"),
        ("0086 13800138000", "+8613800138000"),
        ("(0086)13800138000", "+8613800138000"),
        ("8613800138000", "+8613800138000"),
        ("13800138000 / 13900139000", "+8613800138000"),
        ("13800138000、13900139000", "+8613800138000"),
        ("/ 13900139000", "+8613900139000"),
        ("(021) 6298 1234", "+862162981234"),
        ("021-62981234", "+862162981234"),
        ("（０２１）６２９８１２３４", "+862162981234"),
        ("(021) 6298 1234 转 801", "+862162981234;ext=801"),
        ("021-62981234转801", "+862162981234;ext=801"),
        ("400-820-8820", "+864008208820"),
        ("4008208820", "+864008208820"),
        ("+1 212 555 2368", "+12125552368"),
        ("0044 20 7946 0958", "+442079460958"),
        ("tel:+86-138-0013-8000", "+8613800138000"),
    ],
)
def test_phone(typed: str, expected: str) -> None:
    assert identity(Channel.PHONE, typed) == expected


def test_a_phone_number_is_read_by_the_region_that_is_told() -> None:
    assert identity(Channel.PHONE, "020 7946 0958", region="GB") == "+442079460958"


def test_what_was_typed_is_kept_for_the_person_who_calls() -> None:
    contact = parse_contact(Channel.PHONE, " (021) 6298 1234 转 801 / 13800138000")
    assert contact.address == "(021) 6298 1234 转 801"


def test_two_people_behind_one_switchboard_are_two() -> None:
    one, other = (
        KEYS.contact_key(parse_contact(Channel.PHONE, f"(021) 6298 1234 转 {number}"))
        for number in (801, 802)
    )
    assert one != other


@pytest.mark.parametrize(
    "typed", ["12345", "1380013800", "138001380001", "abc", "/", "+86", "电话", "0", "11111111111"]
)
def test_what_is_no_phone(typed: str) -> None:
    with pytest.raises(BadAddress) as told:
        parse_contact(Channel.PHONE, typed)
    assert told.value.reason == "not_phone"


@pytest.mark.parametrize(
    ("channel", "typed", "expected"),
    [
        (Channel.QQ, "10001", "10001"),
        (Channel.QQ, "１０００１", "10001"),
        (Channel.QQ, " 123456789012 ", "123456789012"),
        (Channel.WECHAT_ID, "Zhang_San-88", "zhang_san-88"),
        (Channel.WECHAT, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
        (Channel.QQ_BOT, "E4F4AEA33253A2797FB897C50B81D7ED", "E4F4AEA33253A2797FB897C50B81D7ED"),
    ],
)
def test_other_channels(channel: Channel, typed: str, expected: str) -> None:
    assert identity(channel, typed, account="app") == expected


@pytest.mark.parametrize(
    ("channel", "typed"),
    [
        (Channel.QQ, "1234"),
        (Channel.QQ, "012345"),
        (Channel.QQ, "1234567890123"),
        (Channel.QQ, "12345a"),
        (Channel.WECHAT_ID, "abcd"),
        (Channel.WECHAT_ID, "张三的微信"),
        (Channel.WECHAT_ID, "a b c d e"),
        (Channel.WECHAT, "x"),
        (Channel.QQ_BOT, "../../etc"),
    ],
)
def test_what_they_are_not(channel: Channel, typed: str) -> None:
    with pytest.raises(BadAddress) as told:
        parse_contact(channel, typed)
    assert told.value.reason == f"not_{channel}"
    assert told.value.reason in REASONS


@pytest.mark.parametrize("channel", list(Channel))
def test_nothing_and_too_much_are_told_apart(channel: Channel) -> None:
    for typed, reason in (("", "required"), (" \u3000\t", "required"), ("a" * 255, "too_long")):
        with pytest.raises(BadAddress) as told:
            parse_contact(channel, typed)
        assert told.value.reason == reason


def test_the_keys_of_a_contact_never_change() -> None:
    """Vectors: were one of these to differ, nobody known would be met again."""
    email = parse_contact(Channel.EMAIL, "Li.Na+news@Example.com")
    assert KEYS.contact_key(email) == "7cb3cf8cfeca95a6eeb45b79159abb26bd497d8c"
    assert KEYS.abuse_key(email) == "953f42795274e09a07b6d08f7b8377879f36ebbf"
    phone = parse_contact(Channel.PHONE, "138 0013 8000")
    assert KEYS.contact_key(phone) == "d8019a8c3345e11cf84122867f108804b6637b92"
    assert KEYS.opaque("ip", "192.0.2.7") == "e3ad2217df16a897ba8aee982b44e05002af4cab"


def test_one_mailbox_has_one_abuse_key_whatever_is_put_into_its_name() -> None:
    def abuse(channel: Channel, typed: str) -> str:
        return KEYS.abuse_key(parse_contact(channel, typed))

    plain = abuse(Channel.EMAIL, "lina@gmail.com")
    for other in ("li.na@gmail.com", "LiNa+1@gmail.com", "l.i.n.a+x+y@googlemail.com"):
        assert abuse(Channel.EMAIL, other) == plain
    assert abuse(Channel.EMAIL, "li.na@example.com") != abuse(Channel.EMAIL, "lina@example.com")
    assert abuse(Channel.QQ, "10001") == abuse(Channel.EMAIL, "10001@qq.com")
    assert abuse(Channel.EMAIL, "+a@example.com") != abuse(Channel.EMAIL, "+b@example.com")


def test_contacts_of_other_accounts_and_channels_have_other_keys() -> None:
    contacts = [
        Contact(Channel.WECHAT, "app1", "oid123", "oid123"),
        Contact(Channel.WECHAT, "app2", "oid123", "oid123"),
        Contact(Channel.QQ_BOT, "app1", "oid123", "oid123"),
        Contact(Channel.WECHAT, "", "app1oid123", "app1oid123"),
    ]
    assert len({KEYS.contact_key(contact) for contact in contacts}) == len(contacts)
    other = ContactKeys(b"another pepper, as long")
    assert other.contact_key(contacts[0]) != KEYS.contact_key(contacts[0])


def test_a_short_pepper_is_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        ContactKeys(b"too short")


@given(
    st.one_of(
        st.from_regex(r"\A[a-zA-Z0-9_+.-]{1,66}@[a-zA-Z0-9.-]{1,70}\.[a-zA-Z]{2,8}\Z"),
        st.from_regex(r"\A[a-z+]{1,6}@([a-z0-9-]{1,6}\.){1,3}(test|local|cn|com|arpa|onion)\Z"),
    )
)
def test_plain_addresses_are_read_as_the_library_reads_them(typed: str) -> None:
    try:
        checked = validate_email(
            typed, check_deliverability=False, allow_smtputf8=True, test_environment=True
        )
    except EmailNotValidError:
        expected = None
    else:
        domain = (checked.ascii_domain or checked.domain).lower()
        expected = f"{checked.local_part}@{domain}"
    try:
        found = parse_contact(Channel.EMAIL, typed).address
    except BadAddress:
        found = None
    assert found == expected
