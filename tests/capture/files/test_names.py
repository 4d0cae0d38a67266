"""Names of files, hostile ones among them."""

import pytest

from services.capture.files.names import disposition, harmless_media_type, harmless_name

HOSTILE = [
    ("../../etc/passwd", "passwd"),
    ("..\\..\\windows\\win.ini", "win.ini"),
    ("C:\\Users\\li\\报价.pdf", "报价.pdf"),
    ("/", "download"),
    ("..", "download"),
    ("", "download"),
    ("   ", "download"),
    ("a\r\nSet-Cookie: x=1.pdf", "aSet-Cookie x=1.pdf"),
    ('x"; filename="evil.exe', "x; filename=evil.exe"),
    ("report\u202efdp.exe", "reportfdp.exe"),
    ("nul.txt", "download-nul.txt"),
    ("CON", "download-CON"),
    ("a\x00b.pdf", "ab.pdf"),
    ("half\ud800.pdf", "half.pdf"),
    ("<script>.html", "script.html"),
]


@pytest.mark.parametrize(("given", "kept"), HOSTILE)
def test_a_hostile_name_is_made_harmless(given: str, kept: str) -> None:
    assert harmless_name(given) == kept


def test_a_long_name_keeps_its_ending() -> None:
    name = harmless_name("价" * 500 + ".pdf")
    assert len(name) <= 120
    assert name.endswith(".pdf")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("prices.pdf", "attachment; filename=\"prices.pdf\"; filename*=UTF-8''prices.pdf"),
        (
            "报价 2026.pdf",
            "attachment; filename=\"2026.pdf\"; filename*=UTF-8''%E6%8A%A5%E4%BB%B7%202026.pdf",
        ),
        ("報.pdf", "attachment; filename=\"download.pdf\"; filename*=UTF-8''%E5%A0%B1.pdf"),
        ("Größe.zip", "attachment; filename=\"Groe.zip\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.zip"),
    ],
)
def test_a_download_says_its_name_in_both_forms(name: str, header: str) -> None:
    assert disposition(name) == header


@pytest.mark.parametrize("name", [given for given, _ in HOSTILE])
def test_no_name_breaks_the_header(name: str) -> None:
    header = disposition(harmless_name(name))
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("application/pdf", "application/pdf"),
        ("Image/PNG; x=1", "image/png"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("text/javascript", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("nonsense", "application/octet-stream"),
        ("a/b\r\nX: y", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_what_could_act_in_a_browser_is_bytes(given: str, kept: str) -> None:
    assert harmless_media_type(given) == kept
