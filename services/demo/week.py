"""The week: everything that happens, in order, on a clock that is moved from one event to the next."""

import heapq
import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import httpx

from services.demo.company import Company
from services.demo.letters import Letter, Letters
from services.demo.people import Passer, Visitor
from services.shared.clock import ShiftedClock

HOURS = 7 * 24
CAMPAIGN_HOURS = (3 * 24 + 10, 5 * 24 + 15)

_BROWSERS = {
    "zh-CN": "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126 Mobile Safari/537.36 MicroMessenger/8.0.50",
    "en": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
}
_SCANNER = "Mozilla/5.0 (compatible; MailGatewayScanner/2.1)"

Happening = Callable[[], Awaitable[object]]
Progress = Callable[[float, str], None]


class Week:
    """Drives the visitors and the company through a week."""

    def __init__(
        self,
        public: httpx.AsyncClient,
        company: Company,
        letters: Letters,
        clock: ShiftedClock,
        seed: int,
    ) -> None:
        self._public = public
        self._company = company
        self._letters = letters
        self._clock = clock
        self._dice = random.Random(seed + 1)  # noqa: S311  # habits, not secrets
        self._start = clock.now()
        self._agenda: list[tuple[float, int, Happening]] = []
        self._order = itertools.count()
        self._by_email: dict[str, Visitor] = {}
        self._orders = itertools.count(1001)
        self.drawn = 0
        """How many forms were drawn."""

    def at(self, hour: float, happening: Happening) -> None:
        """Put something on the agenda."""
        heapq.heappush(self._agenda, (hour, next(self._order), happening))

    async def live(self, cast: list[Visitor], passing: list[Passer], progress: Progress) -> None:
        """Let it all happen, then bring the clock to the present."""
        for passer in passing:
            self.at(passer.hour, lambda p=passer: self._look(p.bait, p.language))  # type: ignore[misc]  # bound now
        for visitor in cast:
            self._by_email[visitor.email] = visitor
            self.at(visitor.hour, lambda v=visitor: self._visit(v))  # type: ignore[misc]  # bound now
        for number, begin in enumerate(CAMPAIGN_HOURS):
            self.at(begin, lambda n=number: self._campaign(n))  # type: ignore[misc]  # bound now
        while self._agenda and self._agenda[0][0] < HOURS:
            hour, _, happening = heapq.heappop(self._agenda)
            self._move_to(self._start + timedelta(hours=hour))
            progress(hour / HOURS, f"{self._clock.now():%a %H:%M}")
            await happening()
        self._clock.advance(max(self._clock.behind, timedelta(0)))
        progress(1.0, "now")

    def _move_to(self, moment: datetime) -> None:
        gap = min(moment - self._clock.now(), self._clock.behind)
        if gap > timedelta(0):
            self._clock.advance(gap)

    async def _look(self, bait: str, language: str) -> dict[str, str]:
        """Somebody looks at a form; the headers of their browser."""
        headers = {
            "user-agent": _BROWSERS[language],
            "accept-language": language,
            "accept": "text/html",
        }
        await self._public.get(f"/b/{bait}", headers=headers)
        self.drawn += 1
        return headers

    async def _visit(self, visitor: Visitor, *, again: bool = False) -> None:
        headers = await self._look(visitor.bait, visitor.language)
        page = f"/b/{visitor.bait}"
        form = {"email": visitor.email, "name": visitor.name, "city": visitor.city}
        if visitor.consents and self._dice.random() < 0.9:
            form["consent.marketing.email"] = "1"
        if visitor.typo and not again:
            wrong = form | {"email": visitor.email.replace("@", "@@")}
            await self._public.post(page, data=wrong, headers=headers)
        await self._public.post(page, data=form, headers=headers)
        if not again and visitor.comes_again:
            self.at(visitor.hour + 22, lambda: self._visit(visitor, again=True))
        if again:
            return
        letter = await self._letters.of(visitor.email)
        if letter and letter.resource and visitor.opens_mail:
            link = letter.resource
            self.at(visitor.hour + 0.1 + self._dice.random(), lambda: self._open(link, headers))

    async def _open(self, link: str, headers: dict[str, str]) -> None:
        await self._public.get(link, headers=headers)
        await self._public.post(link, headers=headers)

    async def _campaign(self, number: int) -> None:
        await self._letters.all_new()
        await self._company.send(number)
        while not await self._company.campaign_done():
            self._clock.advance(timedelta(milliseconds=100))
            await self._clock.sleep(0.05)
        for letter in sorted(await self._letters.all_new(), key=lambda letter: letter.to):
            visitor = self._by_email.get(letter.to)
            if visitor is not None:
                self._react(CAMPAIGN_HOURS[number], visitor, letter)

    def _react(self, hour: float, visitor: Visitor, letter: Letter) -> None:
        """What one person does with one mail, put on the agenda."""
        later = hour + 0.2 + self._dice.expovariate(0.15)
        if visitor.scanner:
            self.at(hour + 0.001, lambda: self._scan(letter))
        if visitor.reads > 0.6:
            return
        self.at(later, lambda: self._see(visitor, letter))
        if visitor.leaves:
            self.at(later + 0.05, lambda: self._leave(letter))
        if visitor.clicks < 0.45 and letter.clicks:
            self.at(later + 0.02, lambda: self._click(visitor, letter.clicks[0]))
        if visitor.asks < 0.12:
            self.at(later + 1, lambda: self._ask(visitor))
        if visitor.buys < 0.1:
            self.at(later + 2, lambda: self._buy(visitor))

    async def _scan(self, letter: Letter) -> None:
        for link in letter.clicks:
            await self._public.get(link, headers={"user-agent": _SCANNER})

    async def _see(self, visitor: Visitor, letter: Letter) -> None:
        if letter.pixel:
            agent = _BROWSERS[visitor.language]
            await self._public.get(letter.pixel, headers={"user-agent": agent})

    async def _click(self, visitor: Visitor, link: str) -> None:
        await self._public.get(link, headers={"user-agent": _BROWSERS[visitor.language]})

    async def _leave(self, letter: Letter) -> None:
        if letter.unsubscribe:
            body = {"List-Unsubscribe": "One-Click"}
            await self._public.post(letter.unsubscribe, data=body)

    async def _ask(self, visitor: Visitor) -> None:
        await self._company.asked(visitor.email, f"T-{visitor.number}")

    async def _buy(self, visitor: Visitor) -> None:
        order = f"{next(self._orders)}"
        amount = self._dice.choice((8_800, 19_900, 36_000, 75_600))
        await self._company.ordered(visitor.email, order, amount)
        if self._dice.random() < 0.08:
            await self._company.ordered(visitor.email, order, amount, state="refunded")
