"""Bodies of plain forms: in which charset, and in which shape."""

from urllib.parse import quote_plus

import pytest

from services.capture.forms.encoding import read_form
from services.shared.errors import Invalid, Malformed, UnsupportedMedia

URLENCODED = "application/x-www-form-urlencoded"

# What a browser posts from a page in that charset, and what it means.
CORPUS = [
    ("name=" + quote_plus("李娜"), "utf-8", "李娜"),
    ("name=" + quote_plus("李娜", encoding="gbk"), "gb18030", "李娜"),
    ("name=" + quote_plus("朱镕基", encoding="gbk"), "gb18030", "朱镕基"),
    ("name=" + quote_plus("𠮷野", encoding="gb18030"), "gb18030", "𠮷野"),
    ("name=" + quote_plus("㐂寿司", encoding="gb18030"), "gb18030", "㐂寿司"),
    ("name=plain+words", "utf-8", "plain words"),
    ("name=a%2Bb%26c", "utf-8", "a+b&c"),
    ("name=" + quote_plus("Zoë"), "utf-8", "Zoë"),
    ("_charset_=gbk&name=" + quote_plus("联通", encoding="gbk"), "gb18030", "联通"),
    ("_charset_=GB2312&name=" + quote_plus("你好", encoding="gb2312"), "gb18030", "你好"),
    ("_charset_=UTF-8&name=" + quote_plus("你好"), "utf-8", "你好"),
    ("_charset_=big5&name=" + quote_plus("繁體", encoding="big5"), "big5hkscs", "繁體"),
    ("_charset_=klingon&name=" + quote_plus("你好"), "utf-8", "你好"),
    ("name=100%", "utf-8", "100%"),
    ("name", "utf-8", ""),
]


@pytest.mark.parametrize(("body", "charset", "meant"), CORPUS)
def test_a_form_is_read_in_its_charset(body: str, charset: str, meant: str) -> None:
    form = read_form(URLENCODED, body.encode("ascii"))
    assert form.pairs == [("name", meant)]
    assert form.charset == charset


def test_the_classic_trap_is_read_as_its_page_meant_it() -> None:
    # 联通 in GBK happens to be valid UTF-8 in shape only; strictly it is not, so GB18030 wins
    form = read_form(URLENCODED, b"name=%C1%AA%CD%A8")
    assert form.pairs == [("name", "联通")]


def test_the_content_type_may_name_the_charset() -> None:
    body = ("name=" + quote_plus("你好", encoding="gbk")).encode()
    assert read_form(f"{URLENCODED}; charset=GBK", body).pairs == [("name", "你好")]


@pytest.mark.parametrize("body", [b"name=%FF%FF", b"_charset_=utf-8&name=%C4%E3", b"n=%80%FF"])
def test_what_no_charset_explains_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        read_form(URLENCODED, body)
    assert refused.value.fields[0].reason == "forbidden_characters"


def part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return (
        b'--X\r\nContent-Disposition: form-data; name="'
        + name
        + b'"'
        + more
        + b"\r\n\r\n"
        + value
        + b"\r\n"
    )


class TestMultipart:
    def test_parts_are_read_in_order_and_files_left_out(self) -> None:
        body = (
            part(b"email", b"a@shop.example")
            + part(b"cv", b"%PDF", b'; filename="../../etc/passwd"')
            + part(b"name", "李娜".encode("gbk"))
            + b"--X--\r\n"
        )
        form = read_form("multipart/form-data; boundary=X", body)
        assert form.pairs == [("email", "a@shop.example"), ("name", "李娜")]
        assert form.files == 1

    @pytest.mark.parametrize(
        "body", [b"", b"--X", b"nonsense", part(b"email", b"a"), b"--X\r\nbroken header\r\n\r\nx"]
    )
    def test_a_broken_body_is_refused(self, body: bytes) -> None:
        with pytest.raises(Malformed):
            read_form("multipart/form-data; boundary=X", body)

    def test_a_body_without_boundary_is_refused(self) -> None:
        with pytest.raises(Malformed):
            read_form("multipart/form-data", b"--X--")

    def test_too_many_parts_are_refused(self) -> None:
        with pytest.raises(Invalid) as refused:
            read_form("multipart/form-data; boundary=X", part(b"a", b"") * 101 + b"--X--\r\n")
        assert refused.value.fields[0].reason == "too_many_fields"


def test_too_many_fields_are_refused() -> None:
    assert len(read_form(URLENCODED, b"&".join([b"a=1"] * 100)).pairs) == 100
    with pytest.raises(Invalid):
        read_form(URLENCODED, b"&".join([b"a=1"] * 101))


@pytest.mark.parametrize(
    "kind", ["", "application/json", "text/plain", "multipart/mixed; boundary=X"]
)
def test_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(UnsupportedMedia):
        read_form(kind, b"a=1")
