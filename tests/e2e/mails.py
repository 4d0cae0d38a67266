"""A received mail as its reader's program sees it."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

from tests.components.smtp import Mail


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag == "img" and given.get("src"):
            self.pictures.append(str(given["src"]))


@dataclass(frozen=True)
class ReadMail:
    """What stands in a mail, by what it is for."""

    subject: str
    text: str
    html: str
    links: tuple[str, ...]
    pictures: tuple[str, ...]
    headers: dict[str, str]

    @property
    def resource_link(self) -> str:
        """The link of a bait mail."""
        return self._only("/r/")

    @property
    def click_links(self) -> list[str]:
        """Tracked links, each once, in order."""
        return [link for link in self.links if urlsplit(link).path.startswith("/c/")]

    @property
    def pixel(self) -> str:
        """The picture that tells that the mail was drawn."""
        found = [link for link in self.pictures if urlsplit(link).path.startswith("/o/")]
        assert len(found) == 1, self.pictures
        return found[0]

    @property
    def unsubscribe_page(self) -> str:
        """The link that people see."""
        return self._only("/u/")

    @property
    def one_click(self) -> str:
        """Where a mail program posts to (RFC 8058)."""
        assert self.headers["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
        found = re.findall(r"<(https?://[^>]+)>", self.headers["list-unsubscribe"])
        assert len(found) == 1, self.headers["list-unsubscribe"]
        return found[0]

    def _only(self, prefix: str) -> str:
        found = {link for link in self.links if urlsplit(link).path.startswith(prefix)}
        assert len(found) == 1, f"one link to {prefix} was promised: {self.links}"
        return found.pop()


def read(mail: Mail) -> ReadMail:
    """Take a mail apart. Both parts have to offer the same links."""
    text = mail.text("plain")
    html = mail.text("html") if mail.message.get_body(("html",)) is not None else ""
    parser = _Addresses()
    parser.feed(html)
    written = re.findall(r"https?://[^\s<>]+", text)
    links = tuple(dict.fromkeys([*written, *parser.links]))
    headers = {name.lower(): str(value) for name, value in mail.message.items()}
    return ReadMail(
        str(mail.message["subject"]), text, html, links, tuple(parser.pictures), headers
    )


def target_of(link: str) -> str:
    """Where a tracked link leads to."""
    return parse_qs(urlsplit(link).query)["u"][0]
