"""A second reading of rules: people as plain objects, conditions as plain Python."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlmodel import Session

from services.profile.base import table_of
from services.profile.leads.models import HandledLead
from services.profile.people.models import Word
from services.profile.people.person import CONSENTS, CONTACTS, FIELDS, PROFILES, TAGS
from services.profile.people.values import comparable
from services.profile.segments import rules
from services.profile.timeline.models import EngagementFact
from services.profile.writing import insert_rows
from services.shared.clock import VirtualClock

NOW = VirtualClock().now()
SPACE = UUID("0190a000-0000-7000-8000-00000000abcd")
TYPES = {
    "city": "choice",
    "age": "integer",
    "member": "boolean",
    "born": "date",
    "likes": "multi_choice",
    "note": "text",
}
VALUES: dict[str, list[Any]] = {
    "city": ["上海", "北京", "Zürich"],
    "age": [17, 18, 40, 41],
    "member": [True, False],
    "born": ["1999-12-31", "2000-01-01", "2010-05-05"],
    "likes": [["tea"], ["tea", "coffee"], ["Coffee"], []],
    "note": ["100% _off_", "a/b", "O'Brien; DROP TABLE", "ÄÖÜ straße", "  ", "\\", "%", "_"],
}
TAG_WORDS = ["vip", "Vip", "新客", "a'b"]
BAITS = ["welcome", "autumn"]
BAIT_IDS = [uuid5(SPACE, "bait 1"), uuid5(SPACE, "bait 2")]
CAMPAIGN_IDS = [uuid5(SPACE, "campaign 1"), uuid5(SPACE, "campaign 2")]
CHANNELS = ["email", "phone", "qq"]
KINDS = ["opened", "displayed", "clicked", "converted"]


@dataclass
class Someone:
    id: UUID
    language: str
    created_at: datetime
    leads: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    contacts: list[tuple[str, bool]] = field(default_factory=list)
    consents: dict[tuple[str, str], bool] = field(default_factory=dict)
    facts: list[tuple[str, datetime, UUID | None, UUID | None]] = field(default_factory=list)


def somebody(random_: random.Random, number: int) -> Someone:
    def some(words: Sequence[Any]) -> list[Any]:
        return [word for word in words if random_.random() < 0.4]

    return Someone(
        id=uuid5(SPACE, f"person {number}"),
        language=random_.choice(["zh-CN", "en"]),
        created_at=NOW - timedelta(hours=random_.choice([1, 24, 25, 240, 2400])),
        leads=[random_.choice(BAITS) for _ in range(random_.randint(0, 3))],
        fields={name: random_.choice(VALUES[name]) for name in some(list(TYPES))},
        tags=some(TAG_WORDS),
        contacts=[(channel, random_.random() < 0.5) for channel in some(CHANNELS)],
        consents={
            (purpose, channel): random_.random() < 0.5
            for purpose in some(["marketing", "survey"])
            for channel in some(CHANNELS)
        },
        facts=[
            (
                random_.choice(KINDS),
                NOW - timedelta(days=random_.choice([0, 1, 2, 10, 100])),
                random_.choice([None, *BAIT_IDS]),
                random_.choice([None, *CAMPAIGN_IDS]),
            )
            for _ in range(random_.randint(0, 3))
        ],
    )


def population(seed: int, size: int = 40) -> list[Someone]:
    random_ = random.Random(seed)
    return [somebody(random_, number) for number in range(size)]


def holds(rule: Any, one: Someone) -> bool:
    """Whether a rule holds for somebody, read without any database."""
    if isinstance(rule, rules.AllRule):
        return all(holds(inner, one) for inner in rule.all)
    if isinstance(rule, rules.AnyRule):
        return any(holds(inner, one) for inner in rule.any)
    if isinstance(rule, rules.NotRule):
        return not holds(rule.not_, one)
    return _LEAVES[type(rule)](rule, one)


def _field(rule: rules.FieldRule, one: Someone) -> bool:
    if rule.field not in one.fields:
        return False
    value = one.fields[rule.field]
    return all(_compares(name, value, asked) for name, asked in rule.comparisons().items())


def _compares(name: str, value: Any, asked: Any) -> bool:
    if name == "known":
        return True
    if name == "in_":
        return any(_same(value, each) for each in asked)
    if name == "is_":
        return _same(value, asked)
    if name == "contains":
        return isinstance(value, str) and asked.casefold() in value.casefold()
    if isinstance(value, list) or isinstance(value, str) != isinstance(asked, str):
        return False
    return {
        "at_least": value >= asked,
        "at_most": value <= asked,
        "above": value > asked,
        "below": value < asked,
    }[name]


def _same(value: Any, asked: Any) -> bool:
    if isinstance(value, list):
        return isinstance(asked, str) and asked.casefold() in [v.casefold() for v in value]
    if isinstance(value, str) != isinstance(asked, str):
        return False
    return value.casefold() == asked.casefold() if isinstance(value, str) else value == asked


def _contact(rule: rules.ContactRule, one: Someone) -> bool:
    return any(
        channel == rule.contact and rule.verified in (None, verified)
        for channel, verified in one.contacts
    )


def _consent(rule: rules.ConsentRule, one: Someone) -> bool:
    return any(
        purpose == rule.consent and rule.channel in (None, channel) and given == rule.given
        for (purpose, channel), given in one.consents.items()
    )


def _engagement(rule: rules.EngagementRule, one: Someone) -> bool:
    since = NOW - timedelta(days=rule.within_days) if rule.within_days else None
    return any(
        kind == rule.engagement
        and (since is None or at >= since)
        and rule.bait in (None, bait)
        and rule.campaign in (None, campaign)
        for kind, at, bait, campaign in one.facts
    )


_LEAVES: dict[type[Any], Any] = {
    rules.FieldRule: _field,
    rules.TagRule: lambda rule, one: rule.tag in one.tags,
    rules.BaitRule: lambda rule, one: rule.bait in one.leads,
    rules.ContactRule: _contact,
    rules.VerifiedRule: lambda rule, one: any(v for _, v in one.contacts) == rule.verified,
    rules.ConsentRule: _consent,
    rules.EngagementRule: _engagement,
    rules.CreatedRule: lambda rule, one: (
        one.created_at >= NOW - timedelta(days=rule.created_within_days)
    ),
    rules.LeadsRule: lambda rule, one: len(one.leads) >= rule.leads_at_least,
    rules.LanguageRule: lambda rule, one: one.language == rule.language,
}


def store(session: Session, people: Sequence[Someone]) -> None:
    """Write people as the handlers would have left them."""
    for one in people:
        _store_one(session, one)
    insert_rows(
        session,
        table_of(Word),
        [{"kind": "field", "word": name, "detail": kind} for name, kind in TYPES.items()],
    )


def _key(one: Someone, *parts: object) -> UUID:
    return uuid5(one.id, " ".join(map(str, parts)))


def _store_one(session: Session, one: Someone) -> None:
    own = {"profile_id": one.id, "at": one.created_at}
    profile = {
        "id": one.id,
        "revision": 1,
        "language": one.language,
        "language_at": one.created_at,
        "timezone": None,
        "lead_count": len(one.leads),
        "created_at": one.created_at,
        "changed_at": one.created_at,
    }
    insert_rows(session, PROFILES, [profile])
    insert_rows(session, TAGS, [own | {"tag": tag, "source": "s"} for tag in one.tags])
    leads = [
        own
        | {
            "lead_id": _key(one, "lead", n),
            "bait_id": BAIT_IDS[BAITS.index(bait)],
            "bait_slug": bait,
        }
        for n, bait in enumerate(one.leads)
    ]
    insert_rows(session, table_of(HandledLead), leads)
    values = []
    for name, value in one.fields.items():
        text, number = comparable(TYPES[name], value)
        compared = {"text_value": text, "number_value": number}
        about = {"name": name, "source": "s", "value": value, "type": TYPES[name], "newest": True}
        values.append(own | about | compared)
        values.append(
            own
            | about
            | {"source": "old", "newest": False, "text_value": None, "number_value": None}
        )
    insert_rows(session, FIELDS, values)
    _store_contacts(session, one)
    _store_doings(session, one)


def _store_contacts(session: Session, one: Someone) -> None:
    contacts = [
        {
            "contact_key": _key(one, "contact", n).hex,
            "profile_id": one.id,
            "position": n,
            "channel": channel,
            "account": "",
            "address": f"{n}@x.example",
            "identity": f"{n}@x.example",
            "abuse_key": "",
            "added_at": one.created_at,
            "verified_at": one.created_at if verified else None,
            "provenance": None,
        }
        for n, (channel, verified) in enumerate(one.contacts)
    ]
    insert_rows(session, CONTACTS, contacts)
    consents = [
        {"profile_id": one.id, "at": one.created_at}
        | {
            "purpose": purpose,
            "channel": channel,
            "contact_key": "",
            "given": given,
            "text_version": "1",
            "source": "s",
        }
        for (purpose, channel), given in one.consents.items()
    ]
    insert_rows(session, CONSENTS, consents)


def _store_doings(session: Session, one: Someone) -> None:
    facts = [
        {
            "profile_id": one.id,
            "kind": kind,
            "at": at,
            "fact_id": _key(one, "fact", n),
            "bait_id": bait,
            "campaign_id": campaign,
        }
        for n, (kind, at, bait, campaign) in enumerate(one.facts)
    ]
    insert_rows(session, table_of(EngagementFact), facts)
