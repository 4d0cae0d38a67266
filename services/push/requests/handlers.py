"""Requests of others become deliveries: bait mails at once, notices to staff bundled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from services.push.deliveries.planning import Wish, plan
from services.push.requests import repository
from services.push.requests.messages import LEAD_NOTICE
from services.shared.clock import Clock
from services.shared.contact import Channel
from services.shared.events import Event, Received
from services.shared.events.push import PushRequested
from services.shared.ids import Ids
from services.shared.runner.consumer import Handler

TOPICS = ("push-requests",)

_BUNDLE = timedelta(minutes=5)
_EXPIRES = {"lead": timedelta(days=3), "notice": timedelta(days=1)}
_LONGEST = timedelta(days=7)


def handlers(clock: Clock, ids: Ids) -> Mapping[type[Event], Handler]:
    """The handlers of this noun."""

    def requested(session: Session, received: Sequence[Received[PushRequested]]) -> None:
        now = clock.now()
        wanted = [item for item in received if item.event.contact.channel is Channel.EMAIL]
        plain = [item for item in wanted if item.event.template != LEAD_NOTICE]
        plan(session, [_wish(item.event, item.occurred_at, now) for item in plain], ids, now)
        for item in wanted:
            if item.event.template == LEAD_NOTICE:
                _notice(session, item.event, item.occurred_at, ids, now)

    return {PushRequested: requested}


def _wish(event: PushRequested, asked_at: datetime, now: datetime, **changes: Any) -> Wish:
    span = _EXPIRES.get(event.cause.kind, _LONGEST)
    parts: dict[str, Any] = {
        "cause_kind": event.cause.kind,
        "cause_id": event.cause.id,
        "contact_key": event.contact.contact_key,
        "channel": event.contact.channel.value,
        "language": event.language,
        "marketing": False,
        "built_in": event.template,
        "values": event.values,
        "bait_id": event.bait_id,
        "address": event.contact.address,
        "abuse_key": event.contact.abuse_key,
        "capped": False,
        "verified": event.verified,
        "not_before": now,
        "expires_at": asked_at + span,
    }
    return Wish(**parts | changes)


def _notice(
    session: Session, event: PushRequested, asked_at: datetime, ids: Ids, now: datetime
) -> None:
    """Add to the bundle that still waits, else begin one: at most one mail in 5 minutes."""
    key, title = event.contact.contact_key, event.values.get("bait_title", "")
    if repository.known(session, key, event.cause.id):
        return
    bundle = repository.bundle(session, key)
    if bundle is not None:
        told = [*repository.titles(session, bundle.delivery_id, key), title]
        if repository.retell(session, bundle.delivery_id, _told(event.values, told)):
            repository.add_item(session, key, event.cause.id, bundle.delivery_id, title)
            return
    due_at = now if bundle is None else max(now, bundle.due_at + _BUNDLE)
    values = _told(event.values, [title])
    made = plan(session, [_wish(event, asked_at, now, values=values, not_before=due_at)], ids, now)
    if key in made:
        repository.set_bundle(session, key, made[key], due_at)
        repository.add_item(session, key, event.cause.id, made[key], title)


def _told(values: Mapping[str, str], titles: Sequence[str]) -> dict[str, str]:
    """The values of a bundle: how many of what."""
    counted = Counter(titles)
    lines = [f"{title} × {count}" for title, count in counted.most_common(20)]
    return {
        **values,
        "bait_title": counted.most_common(1)[0][0],
        "count": str(len(titles)),
        "list": "\n".join(lines),
    }
