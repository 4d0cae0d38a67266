"""`/campaigns`: the operator's list, and one campaign with live progress, reasons and content."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from services.push.campaigns.endpoints import desk_of
from services.push.campaigns.models import Campaign, CampaignRun
from services.push.campaigns.repository import Count
from services.push.campaigns.service import Counts
from services.push.campaigns.states import ALLOWED, FINAL, STATES, Action, CampaignState
from services.push.pages.reasons import TONES, Tone, explained, why
from services.push.templates.endpoints import desk_of as templates_of
from services.push.templates.schemas import PreviewOut
from services.shared.auth.access import ReadCaller
from services.shared.database.cursors import cursor_of
from services.shared.errors import Forbidden
from services.shared.http.internal import ServiceUnreachable
from services.shared.web.pages import OperatorPage, PageRoute, Pages

TEMPLATES = Path(__file__).parent / "templates"

_ON_A_PAGE = 20
_TONES: tuple[Tone, ...] = ("good", "wait", "left", "bad")
_BUTTONS: tuple[tuple[Action, str, str, str], ...] = (
    ("start", "立即开始", "Start now", ""),
    ("schedule", "按时开始", "Schedule", ""),
    ("resume", "继续", "Resume", ""),
    ("pause", "暂停", "Pause", "quiet"),
    ("cancel", "取消活动", "Cancel", "danger"),
)


@dataclass(frozen=True)
class Line:
    """One row of the table of reasons."""

    text: tuple[str, str]
    tone: Tone
    count: int
    until: datetime | None = None
    """When the first of those that are held is asked again."""


@dataclass(frozen=True)
class Progress:
    """How far a campaign is: how many of its members are where."""

    tones: dict[Tone, int]
    lines: tuple[Line, ...]
    total: int

    def share(self, tone: Tone) -> float:
        """The part of all members, in percent."""
        return round(100 * self.tones[tone] / self.total, 2) if self.total else 0.0

    @property
    def settled(self) -> int:
        """For how many nothing more will happen."""
        return self.total - self.tones["wait"]


def progress_of(deliveries: list[Count] | tuple[Count, ...], skipped: dict[str, int]) -> Progress:
    """The progress that these counts mean."""
    lines: dict[tuple[str, str], Line] = {}
    tones: dict[Tone, int] = dict.fromkeys(_TONES, 0)
    found = [
        Line(explained(c.state, c.reason), TONES.get(c.state, "bad"), c.number, c.until)
        for c in deliveries
    ]
    found += [Line(explained("skipped", reason), "left", n) for reason, n in skipped.items()]
    for line in found:
        tones[line.tone] += line.count
        before = lines.get(line.text)
        lines[line.text] = line if before is None else _with(before, line)
    ordered = sorted(lines.values(), key=lambda line: (_TONES.index(line.tone), -line.count))
    return Progress(tones, tuple(ordered), sum(tones.values()))


def _with(one: Line, other: Line) -> Line:
    """Both in one line."""
    until = min(filter(None, (one.until, other.until)), default=None)
    return replace(one, tone=other.tone, count=one.count + other.count, until=until)


def router(zone: ZoneInfo) -> APIRouter:
    """The routes of the campaign pages; times are shown in `zone`."""
    pages = Pages(TEMPLATES, zone=zone)
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)

    @routes.get("/campaigns")
    async def campaigns(
        request: Request,
        caller: OperatorPage,
        cursor: Annotated[str | None, Query(max_length=100)] = None,
    ) -> Response:
        desk = desk_of(request)
        found, runs = await desk.listing(cursor, _ON_A_PAGE)
        shown = found[:_ON_A_PAGE]
        items = [
            (campaign, await _progress(request, campaign, runs.get(campaign.id)))
            for campaign in shown
        ]
        following = (
            cursor_of(shown[-1].created_at, shown[-1].id) if len(found) > _ON_A_PAGE else None
        )
        return pages.response(
            request,
            "campaigns.html",
            caller=caller,
            items=items,
            following=following,
            first=cursor is None,
            **_WORDS,
        )

    @routes.get("/campaigns/{campaign_id}")
    async def campaign(request: Request, caller: OperatorPage, campaign_id: UUID) -> Response:
        counts = await desk_of(request).counts(campaign_id)
        versions = await _content(request, counts)
        segment = await _segment_name(request, counts.campaign.segment_id)
        return pages.response(
            request,
            "campaign.html",
            caller=caller,
            versions=versions,
            segment=segment,
            **_live(counts, may_act=caller.may("admin")),
        )

    @routes.get("/campaigns/{campaign_id}/live")
    async def live(request: Request, caller: ReadCaller, campaign_id: UUID) -> Response:
        counts = await desk_of(request).counts(campaign_id)
        return pages.response(
            request, "campaign_live.html", **_live(counts, may_act=caller.may("admin"))
        )

    @routes.post("/campaigns/{campaign_id}/{action}")
    async def act(
        request: Request, caller: OperatorPage, campaign_id: UUID, action: Action
    ) -> Response:
        if not caller.may("admin"):
            raise Forbidden
        await desk_of(request).act(campaign_id, action, caller.name)
        return RedirectResponse(f"/campaigns/{campaign_id}", status_code=303)

    return routes


async def _progress(request: Request, campaign: Campaign, run: CampaignRun | None) -> Progress:
    """From the counts kept when it ended, else counted now."""
    if run is None:
        return progress_of((), {})
    if run.final is not None and campaign.state == CampaignState.DONE:
        return progress_of([Count(*count) for count in run.final], run.skipped)
    counts = await desk_of(request).counts(campaign.id)
    return progress_of(counts.deliveries, counts.skipped)


async def _content(request: Request, counts: Counts) -> list[PreviewOut]:
    """What the campaign says, per language, with sample values; as its run says it once there is one."""
    version_id = counts.run.template_version_id if counts.run else None
    return await templates_of(request).samples(counts.campaign.template_id, version_id)


async def _segment_name(request: Request, segment_id: UUID) -> str | None:
    """What profile calls the segment; None when it does not say: the page shows the id then."""
    profile = desk_of(request).neighbours.get("profile")
    if profile is None:
        return None
    try:
        answer = await profile.get(f"/internal/segments/{segment_id}")
    except ServiceUnreachable:
        return None
    name = answer.get("name") if isinstance(answer, dict) else None
    return name if isinstance(name, str) else None


def _live(counts: Counts, *, may_act: bool) -> dict[str, Any]:
    campaign = counts.campaign
    state = CampaignState(campaign.state)
    progress = progress_of(counts.deliveries, counts.skipped)
    return {
        "campaign": campaign,
        "run": counts.run,
        "progress": progress,
        "at": counts.at,
        "why": why(campaign.state_reason),
        "polls": state not in FINAL or progress.tones["wait"] > 0,
        "buttons": _buttons(campaign) if may_act else [],
        **_WORDS,
    }


def _buttons(campaign: Campaign) -> list[tuple[Action, str, str, str]]:
    """What may be done now."""
    state = CampaignState(campaign.state)
    return [
        button
        for button in _BUTTONS
        if ALLOWED[button[0]].get(state, state) != state
        and (button[0] != "schedule" or campaign.start_at is not None)
    ]


_WORDS: dict[str, Any] = {
    "states": STATES,
    "tones": (
        ("good", "已发送", "sent"),
        ("wait", "等待", "waiting"),
        ("left", "未发送", "not sent"),
        ("bad", "失败", "failed"),
    ),
    "state_tags": {
        "running": "good",
        "done": "good",
        "paused": "warn",
        "scheduled": "warn",
        "cancelled": "bad",
    },
}
