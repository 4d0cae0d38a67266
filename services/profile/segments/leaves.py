"""What a single condition asks of the tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, not_, or_
from sqlalchemy import Table as SqlTable

from services.profile.base import table_of
from services.profile.leads.models import HandledLead
from services.profile.people.person import CONSENTS, CONTACTS, FIELDS, PROFILES, TAGS
from services.profile.people.values import SEPARATOR, folded
from services.profile.segments import rules
from services.profile.timeline.models import EngagementFact

LEADS, FACTS = table_of(HandledLead), table_of(EngagementFact)

Expression = ColumnElement[bool]


@dataclass(frozen=True)
class Having:
    """The person has a row in `table` for which all `conditions` hold.

    `in_order`: an index has the rows for which they hold in the order of people.
    """

    table: SqlTable
    conditions: tuple[Expression, ...]
    in_order: bool = False


@dataclass(frozen=True)
class Own:
    """Something that the profile's own row says."""

    expression: Expression


@dataclass(frozen=True)
class World:
    """As of when rules are read, and with which declared types of fields."""

    now: datetime
    types: Mapping[str, str]

    def since(self, days: int) -> datetime:
        return self.now - timedelta(days=days)


Asked = list[Having | Own]
"""One of these has to hold."""


def asked(rule: Any, world: World) -> Asked:
    """What a condition that holds no others asks."""
    leaf: Callable[[Any, World], Asked] = _LEAVES[type(rule)]
    return leaf(rule, world)


def _field(rule: rules.FieldRule, world: World) -> Asked:
    named = FIELDS.c.name == rule.field
    comparisons = rule.comparisons()
    if set(comparisons) == {"known"}:
        return [
            Having(FIELDS, (named, FIELDS.c.text_value.is_not(None))),
            Having(FIELDS, (named, FIELDS.c.number_value.is_not(None))),
        ]
    multiple = world.types.get(rule.field) == "multi_choice"
    if set(comparisons) == {"is_"} and not multiple:
        (equal,) = _among((comparisons["is_"],), multiple=False)
        return [Having(FIELDS, (named, equal), in_order=True)]
    if set(comparisons) == {"in_"}:
        # one index is used for texts and another for numbers
        alternatives = _among(comparisons["in_"], multiple=multiple)
        return [Having(FIELDS, (named, each)) for each in alternatives]
    found = (
        _compare(name, value, multiple=multiple)
        for name, value in comparisons.items()
        if name != "known"  # what can be compared is known
    )
    return [Having(FIELDS, (named, *found))]


def _compare(name: str, value: Any, *, multiple: bool) -> Expression:
    if name == "contains":
        return FIELDS.c.text_value.contains(folded(value), autoescape=True)
    if name == "in_":
        return or_(*_among(value, multiple=multiple))
    if name == "is_":
        return or_(*_among((value,), multiple=multiple))
    text = isinstance(value, str)
    column: Any = FIELDS.c.text_value if text else FIELDS.c.number_value
    bound = value if text else float(value)
    compared: Expression = {
        "at_least": column >= bound,
        "at_most": column <= bound,
        "above": column > bound,
        "below": column < bound,
    }[name]
    return compared


def _among(values: tuple[Any, ...], *, multiple: bool) -> list[Expression]:
    texts = [value for value in values if isinstance(value, str)]
    numbers = [float(value) for value in values if not isinstance(value, str)]
    found: list[Expression] = []
    if texts and multiple:
        words = (f"{SEPARATOR}{text.casefold()}{SEPARATOR}" for text in texts)
        column = FIELDS.c.text_value
        found.append(or_(*(column.contains(word, autoescape=True) for word in words)))
    elif texts:
        found.append(FIELDS.c.text_value.in_([folded(text) for text in texts]))
    if numbers:
        found.append(FIELDS.c.number_value.in_(numbers))
    return found


def _tag(rule: rules.TagRule, _world: World) -> Asked:
    return [Having(TAGS, (TAGS.c.tag == rule.tag,), in_order=True)]


def _bait(rule: rules.BaitRule, _world: World) -> Asked:
    return [Having(LEADS, (LEADS.c.bait_slug == rule.bait,), in_order=True)]


def _contact(rule: rules.ContactRule, _world: World) -> Asked:
    found: list[Expression] = [CONTACTS.c.channel == rule.contact.value]
    if rule.verified is not None:
        verified = CONTACTS.c.verified_at
        found.append(verified.is_not(None) if rule.verified else verified.is_(None))
    return [Having(CONTACTS, tuple(found))]


def _verified(_rule: rules.VerifiedRule, _world: World) -> Asked:
    return [Having(CONTACTS, (CONTACTS.c.verified_at.is_not(None),))]


def _consent(rule: rules.ConsentRule, _world: World) -> Asked:
    found: list[Expression] = [CONSENTS.c.purpose == rule.consent]
    if rule.channel is not None:
        found.append(CONSENTS.c.channel == rule.channel.value)
    found.append(CONSENTS.c.given if rule.given else not_(CONSENTS.c.given))
    return [Having(CONSENTS, tuple(found), in_order=rule.channel is not None)]


def _engagement(rule: rules.EngagementRule, world: World) -> Asked:
    found: list[Expression] = [FACTS.c.kind == rule.engagement]
    if rule.within_days is not None:
        found.append(FACTS.c.at >= world.since(rule.within_days))
    if rule.bait is not None:
        found.append(FACTS.c.bait_id == rule.bait)
    if rule.campaign is not None:
        found.append(FACTS.c.campaign_id == rule.campaign)
    return [Having(FACTS, tuple(found))]


def _created(rule: rules.CreatedRule, world: World) -> Asked:
    return [Own(PROFILES.c.created_at >= world.since(rule.created_within_days))]


def _leads(rule: rules.LeadsRule, _world: World) -> Asked:
    return [Own(PROFILES.c.lead_count >= rule.leads_at_least)]


def _language(rule: rules.LanguageRule, _world: World) -> Asked:
    return [Own(PROFILES.c.language == rule.language)]


_LEAVES: dict[type[Any], Any] = {
    rules.FieldRule: _field,
    rules.TagRule: _tag,
    rules.BaitRule: _bait,
    rules.ContactRule: _contact,
    rules.VerifiedRule: _verified,
    rules.ConsentRule: _consent,
    rules.EngagementRule: _engagement,
    rules.CreatedRule: _created,
    rules.LeadsRule: _leads,
    rules.LanguageRule: _language,
}
