"""Every query on campaigns and their runs, and on what the ledger holds of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    exists,
    literal_column,
    or_,
    tuple_,
    update,
)
from sqlalchemy import func as sql_function
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from services.push.campaigns.models import Campaign, CampaignRun
from services.push.campaigns.states import CampaignState
from services.push.deliveries.models import Delivery
from services.push.deliveries.planning import PERSONAL, Wish, insert_shared, shared_values
from services.push.deliveries.states import OPEN, WAITING, State
from services.push.reach.models import ReachContact, ReachProfile
from services.push.sets import RowSet, dialect_of
from services.push.templates.models import Template
from services.shared.database import Moment
from services.shared.database.base import WAKE, Dialect
from services.shared.database.cursors import after
from services.shared.database.ready import Ready
from services.shared.ids import Ids

PROFILES = ReachProfile.__table__  # type: ignore[attr-defined]  # what SQLModel adds
CONTACTS = ReachContact.__table__  # type: ignore[attr-defined]  # what SQLModel adds
CAMPAIGNS = Campaign.__table__  # type: ignore[attr-defined]  # what SQLModel adds
LEDGER = Delivery.__table__  # type: ignore[attr-defined]  # what SQLModel adds

SYSTEM = "system"
"""Who did what nobody asked for."""


def find(session: Session, campaign_id: UUID, *, lock: bool = False) -> Campaign | None:
    """A campaign; with `lock` nobody else changes it until the transaction ends."""
    statement = select(Campaign).where(col(Campaign.id) == campaign_id)
    return session.exec(statement.with_for_update() if lock else statement).one_or_none()


def run_of(session: Session, campaign: Campaign) -> CampaignRun | None:
    """The campaign's run, once it has begun."""
    return session.get(CampaignRun, campaign.run_id) if campaign.run_id else None


def names(session: Session, ids: Collection[UUID]) -> dict[UUID, str]:
    """The names of campaigns by id: asked for each of a dispatcher's turns."""
    given, statement = _naming(dialect_of(session))
    return dict(statement.rows(session, given.bind([(id_,) for id_ in ids])))


@cache
def _naming(dialect: Dialect) -> tuple[RowSet, Ready]:
    given = RowSet(dialect, "given", id=Uuid())
    statement = (
        select_columns(CAMPAIGNS.c.id, CAMPAIGNS.c.name)
        .select_from(given.table)
        .join(CAMPAIGNS, CAMPAIGNS.c.id == given.id)
    )
    return given, Ready(statement)


def template_of(session: Session, template_id: UUID) -> Template | None:
    """The template of a campaign."""
    return session.get(Template, template_id)


def page(session: Session, cursor: str | None, limit: int) -> list[Campaign]:
    """Campaigns, newest first; one more than `limit` when there are more. Raises `Invalid`."""
    statement = select(Campaign).order_by(col(Campaign.created_at).desc(), col(Campaign.id).desc())
    statement = statement.where(*after(cursor, col(Campaign.created_at), col(Campaign.id)))
    return list(session.exec(statement.limit(limit + 1)))


def runs_of(session: Session, campaigns: Sequence[Campaign]) -> dict[UUID, CampaignRun]:
    """The runs of these campaigns, by campaign."""
    ids = [campaign.run_id for campaign in campaigns if campaign.run_id]
    if not ids:
        return {}
    runs = session.exec(select(CampaignRun).where(col(CampaignRun.id).in_(ids)))
    return {run.campaign_id: run for run in runs}


def take_due(session: Session, now: datetime, lease_until: datetime) -> Campaign | None:
    """The campaign that is due longest; it is due again at `lease_until` unless somebody says otherwise."""
    campaign = session.exec(
        select(Campaign)
        .where(col(Campaign.due_at) <= now)
        .order_by(col(Campaign.due_at))
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if campaign is not None:
        campaign.due_at = lease_until
        session.add(campaign)
        session.flush()
    return campaign


def step_of(session: Session, run_id: UUID) -> int | None:
    """The step that a run is at now."""
    return session.exec(select(CampaignRun.step).where(col(CampaignRun.id) == run_id)).first()


def step(session: Session, run: CampaignRun, **changes: Any) -> bool:
    """Change a run that is as it was read. False: somebody else was faster, nothing was changed."""
    done = session.execute(
        update(CampaignRun)
        .where(col(CampaignRun.id) == run.id, col(CampaignRun.step) == run.step)
        .values(step=run.step + 1, **changes)
        .execution_options(synchronize_session=False)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]  # a CursorResult


_CHANNELS = ("email", "phone", "wechat", "qq_bot", "qq", "wechat_id")
_ANY_CHANNEL = "webhook"
"""The webhook stands in for channels that are not built yet: it takes any contact."""


class Member(NamedTuple):
    """A member of a segment and whom it stands for; the last three are None where push knows none."""

    member_id: UUID
    profile_id: UUID | None
    erased_at: datetime | None
    language: str | None
    contact_key: str | None


def _serves(contact: Any, channel: str) -> Any:
    if channel == _ANY_CHANNEL:
        return contact.c.channel.in_(_inlined(_CHANNELS))
    return contact.c.channel == bindparam("contact_channel", type_=String())


def _bound_to(channel: str) -> dict[str, str]:
    return {} if channel == _ANY_CHANNEL else {"contact_channel": channel}


def _rank(contact: Any) -> Any:
    """The contact with consent and known to be theirs first; then always the same one."""
    known = or_(contact.c.verified_at.is_not(None), contact.c.provenance.is_not(None))
    places: dict[Any, Any] = {
        name: literal_column(str(place)) for place, name in enumerate(_CHANNELS)
    }
    return tuple_(
        case((contact.c.marketing.is_(True), literal_column("0")), else_=literal_column("1")),
        case((known, literal_column("0")), else_=literal_column("1")),
        case(places, value=contact.c.channel, else_=literal_column("9")),
        contact.c.contact_key,
    )


def _best_contact(person: Any, channel: str) -> tuple[Any, ColumnElement[bool]]:
    """The contact over which a campaign's channel reaches a person, and what joins it to them."""
    contact, other = CONTACTS.alias("contact"), CONTACTS.alias("other")
    better = exists().where(
        other.c.profile_id == person.c.id,
        other.c.contact_key != contact.c.contact_key,
        _serves(other, channel),
        _rank(other) < _rank(contact),
    )
    return contact, and_(contact.c.profile_id == person.c.id, _serves(contact, channel), ~better)


@cache
def _members(dialect: Dialect, channel: str) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", profile_id=Uuid())
    named = PROFILES.alias("named")
    person = PROFILES.alias("person")
    contact, joined = _best_contact(person, channel)
    statement = (
        select_columns(
            given.profile_id,
            person.c.id,
            person.c.erased_at,
            person.c.language,
            contact.c.contact_key,
        )
        .select_from(given.table)
        .outerjoin(named, named.c.id == given.profile_id)
        .outerjoin(
            person,
            person.c.id == sql_function.coalesce(named.c.alias_of, named.c.id, type_=Uuid()),
        )
        .outerjoin(contact, joined)
    )
    return given, statement


def members(session: Session, profile_ids: Sequence[UUID], channel: str) -> list[Member]:
    """What push knows of these members, with the contact that a campaign's channel would use."""
    given, statement = _members(dialect_of(session), channel)
    parameters = given.bind([(id_,) for id_ in profile_ids])
    rows = session.execute(statement, parameters | _bound_to(channel))
    return [Member._make(row) for row in rows]


@cache
def _planting(dialect: Dialect, channel: str) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", id=Uuid(), profile_id=Uuid())
    person = PROFILES.alias("person")
    contact, joined = _best_contact(person, channel)
    itself = and_(
        person.c.id == given.profile_id, person.c.alias_of.is_(None), person.c.erased_at.is_(None)
    )
    own = {
        "id": given.id,
        "contact_key": contact.c.contact_key,
        "language": person.c.language,
        "profile_id": person.c.id,
    }
    source = given.table.join(person, itself).join(contact, joined)
    return given, insert_shared(dialect, own, source)


def plan_members(
    session: Session, wish: Wish, profile_ids: Sequence[UUID], ids: Ids, now: datetime
) -> int:
    """Plan one delivery of `wish` for each of these members that can be reached; how many are new.

    Nothing is read out of the database for it. Left out are people who were merged into others.
    """
    given, statement = _planting(dialect_of(session), wish.channel)
    parameters = given.bind([(ids.new(), id_) for id_ in profile_ids])
    parameters |= shared_values(wish, now, PERSONAL)
    made = session.execute(statement, parameters | _bound_to(wish.channel))
    session.info[WAKE] = True
    return int(made.rowcount)  # type: ignore[attr-defined]  # a CursorResult


@cache
def _planned(dialect: Dialect) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", profile_id=Uuid())
    # not a join: SQLite would begin with all of the run
    of_run = exists().where(
        LEDGER.c.profile_id == given.profile_id,
        LEDGER.c.cause_kind == "campaign",
        LEDGER.c.cause_id == bindparam("run"),
    )
    return given, select_columns(given.profile_id).where(of_run)


def planned_already(session: Session, run_id: UUID, profile_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the profiles that this run has a delivery for."""
    given, statement = _planned(dialect_of(session))
    parameters = given.bind([(id_,) for id_ in profile_ids])
    return set(session.execute(statement, parameters | {"run": str(run_id)}).scalars())


def has_open(session: Session, campaign_id: UUID) -> bool:
    """Whether a delivery of the campaign is still planned, held, claimed or sending."""
    # written out: the partial index is only used for its own condition
    open_ = LEDGER.c.state.in_(_inlined(tuple(state.value for state in OPEN)))
    found = session.execute(
        select_columns(exists().where(and_(LEDGER.c.campaign_id == campaign_id, open_)))
    )
    return bool(found.scalar())


def _inlined(words: tuple[str, ...]) -> list[ColumnElement[str]]:
    return [literal_column(f"'{word}'") for word in words]


class Count(NamedTuple):
    """How many deliveries are in a state for a reason. `until`: when the first of the held is asked again."""

    state: str
    reason: str | None
    number: int
    until: datetime | None = None


def counts(session: Session, campaign_id: UUID) -> list[Count]:
    """The campaign's deliveries by state and reason."""
    held = LEDGER.c.state == literal_column(f"'{State.HELD.value}'")
    until = sql_function.min(case((held, LEDGER.c.not_before)), type_=Moment())
    rows = session.execute(
        select_columns(LEDGER.c.state, LEDGER.c.reason, sql_function.count(), until)
        .where(LEDGER.c.campaign_id == campaign_id)
        .group_by(LEDGER.c.state, LEDGER.c.reason)
        .order_by(LEDGER.c.state, LEDGER.c.reason)
    )
    return [Count(*row) for row in rows]


def keep_final(session: Session, run_id: UUID, found: Sequence[Count]) -> None:
    """Keep the counts as the run ended."""
    final = [[state, reason, number] for state, reason, number, _ in found]
    session.execute(update(CampaignRun).where(col(CampaignRun.id) == run_id).values(final=final))


def retune(session: Session, campaign: Campaign) -> None:
    """Give changed settings to what was planned and not sent."""
    session.execute(
        update(LEDGER)
        .where(
            LEDGER.c.campaign_id == campaign.id,
            LEDGER.c.state.in_([state.value for state in WAITING]),
            or_(
                LEDGER.c.priority != campaign.priority,
                LEDGER.c.capped != campaign.capped,
                LEDGER.c.expires_at.is_distinct_from(campaign.until),
            ),
        )
        .values(priority=campaign.priority, capped=campaign.capped, expires_at=campaign.until)
    )


def pause_by_system(session: Session, campaign_id: UUID, reason: str, now: datetime) -> None:
    """Note that a campaign can't go on, and why. The ledger has stopped claiming already."""
    session.execute(
        update(Campaign)
        .where(
            col(Campaign.id) == campaign_id,
            col(Campaign.state) == CampaignState.RUNNING.value,
        )
        .values(
            state=CampaignState.PAUSED.value,
            state_reason=reason,
            state_at=now,
            state_by=SYSTEM,
            due_at=col(Campaign.until),
            version=col(Campaign.version) + 1,
        )
        .execution_options(synchronize_session=False)
    )
