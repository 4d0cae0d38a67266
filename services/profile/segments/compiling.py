"""A rule as an SQL expression over `profiles`. Every text and number of a rule is a bound parameter.

Each condition is a set of profile ids from an index. Counting asks for membership (`id IN (…)`): the
database begins with one set and tests the others. Walking through members in the order of their ids asks
for existence (`EXISTS`), so that a page costs a page and not a set.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, literal_column, not_, or_, select
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
class Compiler:
    """Compiles rules as of `now`. `types` are the declared types of fields; `walk` see above."""

    now: datetime
    types: Mapping[str, str]
    walk: bool = False

    def expression(self, rule: Any) -> Expression:
        """The condition on `profiles` that holds for the people of a rule."""
        if isinstance(rule, rules.AllRule):
            return and_(*(self.expression(inner) for inner in rule.all))
        if isinstance(rule, rules.AnyRule):
            return or_(*(self.expression(inner) for inner in rule.any))
        if isinstance(rule, rules.NotRule):
            return not_(self.expression(rule.not_))
        compile_one: Callable[[Compiler, Any], Expression] = _LEAVES[type(rule)]
        return compile_one(self, rule)

    def since(self, days: int) -> datetime:
        return self.now - timedelta(days=days)

    def having(self, table: SqlTable, *conditions: Expression) -> Expression:
        """People with a row in `table` for which all conditions hold."""
        if self.walk:
            found: Any = select(literal_column("1")).select_from(table)
            holds: Expression = found.where(
                table.c.profile_id == PROFILES.c.id, *conditions
            ).exists()
            return holds
        return PROFILES.c.id.in_(select(table.c.profile_id).where(*conditions))


def _field(compiler: Compiler, rule: rules.FieldRule) -> Expression:
    multiple = compiler.types.get(rule.field) == "multi_choice"
    found = [_compare(name, value, multiple=multiple) for name, value in rule.comparisons().items()]
    return compiler.having(FIELDS, FIELDS.c.name == rule.field, FIELDS.c.newest, *found)


def _compare(name: str, value: Any, *, multiple: bool) -> Expression:
    if name == "known":
        return or_(FIELDS.c.text_value.is_not(None), FIELDS.c.number_value.is_not(None))
    if name == "contains":
        return FIELDS.c.text_value.contains(folded(value), autoescape=True)
    if name == "in_":
        return or_(*(_equal(each, multiple=multiple) for each in value))
    if name == "is_":
        return _equal(value, multiple=multiple)
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


def _equal(value: Any, *, multiple: bool) -> Expression:
    if isinstance(value, str):
        if multiple:
            word = f"{SEPARATOR}{value.casefold()}{SEPARATOR}"
            return FIELDS.c.text_value.contains(word, autoescape=True)
        same: Expression = FIELDS.c.text_value == folded(value)
        return same
    equal: Expression = FIELDS.c.number_value == float(value)
    return equal


def _tag(compiler: Compiler, rule: rules.TagRule) -> Expression:
    return compiler.having(TAGS, TAGS.c.tag == rule.tag)


def _bait(compiler: Compiler, rule: rules.BaitRule) -> Expression:
    return compiler.having(LEADS, LEADS.c.bait_slug == rule.bait)


def _contact(compiler: Compiler, rule: rules.ContactRule) -> Expression:
    found: list[Expression] = [CONTACTS.c.channel == rule.contact.value]
    if rule.verified is not None:
        verified = CONTACTS.c.verified_at
        found.append(verified.is_not(None) if rule.verified else verified.is_(None))
    return compiler.having(CONTACTS, *found)


def _verified(compiler: Compiler, rule: rules.VerifiedRule) -> Expression:
    some = compiler.having(CONTACTS, CONTACTS.c.verified_at.is_not(None))
    return some if rule.verified else not_(some)


def _consent(compiler: Compiler, rule: rules.ConsentRule) -> Expression:
    found: list[Expression] = [CONSENTS.c.purpose == rule.consent]
    if rule.channel is not None:
        found.append(CONSENTS.c.channel == rule.channel.value)
    found.append(CONSENTS.c.given if rule.given else not_(CONSENTS.c.given))
    return compiler.having(CONSENTS, *found)


def _engagement(compiler: Compiler, rule: rules.EngagementRule) -> Expression:
    found: list[Expression] = [FACTS.c.kind == rule.engagement]
    if rule.within_days is not None:
        found.append(FACTS.c.at >= compiler.since(rule.within_days))
    if rule.bait is not None:
        found.append(FACTS.c.bait_id == rule.bait)
    if rule.campaign is not None:
        found.append(FACTS.c.campaign_id == rule.campaign)
    return compiler.having(FACTS, *found)


def _created(compiler: Compiler, rule: rules.CreatedRule) -> Expression:
    young: Expression = PROFILES.c.created_at >= compiler.since(rule.created_within_days)
    return young


def _leads(_compiler: Compiler, rule: rules.LeadsRule) -> Expression:
    enough: Expression = PROFILES.c.lead_count >= rule.leads_at_least
    return enough


def _language(_compiler: Compiler, rule: rules.LanguageRule) -> Expression:
    same: Expression = PROFILES.c.language == rule.language
    return same


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
