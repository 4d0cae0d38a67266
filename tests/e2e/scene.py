"""What every chapter of the story works with."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.components.browser import Pages
from tests.components.smtp import Inbox
from tests.e2e.api import JSON, Api
from tests.e2e.book import Book
from tests.e2e.camera import Camera
from tests.e2e.mails import ReadMail, read
from tests.e2e.site import Site
from tests.e2e.systems import RunningSystem

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/139.0.0.0 Safari/537.36"
)
"""What a person's browser says; the one that tests drive would say that it is a robot."""


@dataclass
class Person:
    """Somebody in the story, and what is known of them so far."""

    name: str
    consents: bool
    verifies: bool
    lead_id: str = ""
    profile_id: str = ""
    mails: list[ReadMail] = field(default_factory=list)

    @property
    def email(self) -> str:
        return f"{self.name}@people.example"

    @property
    def mailbox(self) -> str:
        """What mail is sent to: as typed, and chen types in capitals."""
        return "CHEN@people.example" if self.name == "chen" else self.email


@dataclass
class Scene:
    """The system, the people, and everything around them."""

    system: RunningSystem
    api: Api
    public: httpx.AsyncClient
    inbox: Inbox
    site: Site
    pages: Pages
    camera: Camera
    book: Book = field(default_factory=Book)
    baits: dict[str, JSON] = field(default_factory=dict)
    campaigns: list[JSON] = field(default_factory=list)
    segment: JSON = field(default_factory=dict)
    people: dict[str, Person] = field(
        default_factory=lambda: {
            person.name: person
            for person in (
                Person("ann", consents=True, verifies=True),
                Person("bo", consents=True, verifies=True),
                Person("chen", consents=True, verifies=True),
                Person("dora", consents=True, verifies=True),
                Person("erik", consents=True, verifies=False),
                Person("fei", consents=False, verifies=True),
            )
        }
    )

    async def visitor(self, **more: Any) -> Any:
        """A page of a person's browser, of which every complaint is kept in `complaints`."""
        page = await self.pages.open(user_agent=CHROME, **more)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda message: self._listen(page.url, message))
        return page

    def _listen(self, page: str, message: Any) -> None:
        """Keep what the browser complains of; not that a page is refused, which the story wants."""
        about = message.location.get("url", "")
        refused = message.text.startswith("Failed to load resource") and (
            about == page or "status of 422" in message.text
        )
        if message.type == "error" and not refused:
            self.complaints.append(f"{page}: {message.text} ({about})")

    complaints: list[str] = field(default_factory=list)

    async def new_mail(self, person: Person) -> ReadMail:
        """The next mail that a person gets."""
        wanted = len(person.mails) + 1
        received = await self.inbox.arrived(wanted, to=person.mailbox)
        assert len(received) == wanted, f"{person.name} got {len(received)} mails, not {wanted}"
        person.mails.append(read(received[-1]))
        return person.mails[-1]
