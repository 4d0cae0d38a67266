"""What metrics does with the events of others: raw rows, totals, and who is who."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlmodel import Session

from services.metrics.funnel import repository as funnel
from services.metrics.funnel.counting import Counting
from services.metrics.funnel.stages import (
    DISPLAYED,
    DROPPED,
    FAILED,
    OPENED,
    SENT,
    SUBMITTED,
    UNKNOWN,
    VERIFIED,
    WEB,
    Raw,
)
from services.metrics.subjects import repository
from services.metrics.subjects.repository import DeliveryRow, LeadRow
from services.metrics.waiting import repository as waiting
from services.shared.clock import Clock
from services.shared.events import Event, Received, Tombstone
from services.shared.events.leads import BaitDisplayed, LeadOpened, LeadSubmitted, LeadVerified
from services.shared.events.parts import CausePart
from services.shared.events.profiles import (
    ProfileChanged,
    ProfileErased,
    ProfileLeadAccepted,
    ProfileMerged,
)
from services.shared.events.push import (
    Outcome,
    PushBounced,
    PushComplained,
    PushDelivered,
    PushDropped,
    PushFailed,
    PushHeld,
    PushSent,
    PushUnknown,
)
from services.shared.ids import derived
from services.shared.runner.consumer import Handler

TOPICS = ("leads", "views", "profiles", "profile-events", "outcomes")

_STAGES: dict[type[Event], str] = {
    PushSent: SENT,
    PushFailed: FAILED,
    PushDropped: DROPPED,
    PushUnknown: UNKNOWN,
    PushDelivered: "delivered",
    PushBounced: "bounced",
    PushComplained: "complained",
    PushHeld: "",
    LeadVerified: VERIFIED,
    LeadOpened: OPENED,
}


class Projections:
    """Handlers of the consumer. Each is one transaction's part: rows, totals, who waits for them."""

    def __init__(self, counting: Counting, clock: Clock) -> None:
        self._counting = counting
        self._clock = clock

    def handlers(self) -> Mapping[type[Event], Handler]:
        """Handlers by event."""
        return {
            **dict.fromkeys(
                (
                    PushSent,
                    PushFailed,
                    PushDropped,
                    PushUnknown,
                    PushDelivered,
                    PushBounced,
                    PushComplained,
                    PushHeld,
                ),
                self.outcomes,
            ),
            LeadSubmitted: self.submitted,
            LeadVerified: self.lead_stages,
            LeadOpened: self.lead_stages,
            BaitDisplayed: self.displayed,
            ProfileChanged: self.profiles,
            ProfileLeadAccepted: self.accepted,
            ProfileMerged: self.merged,
            ProfileErased: self.erased,
            Tombstone: self.deleted,
        }

    def outcomes(self, session: Session, received: Sequence[Received[Outcome]]) -> None:
        """What became of deliveries."""
        deliveries: dict[UUID, DeliveryRow] = {}
        raws = []
        for item in received:
            event = item.event
            what = type(event)
            if what is not PushHeld:  # held: it may still be sent, and nobody has it yet
                _learn(deliveries, item, sent=what is PushSent)
            raws.append(
                Raw(
                    item.id,
                    what.kind,
                    _STAGES[what],
                    item.occurred_at,
                    event.delivery_id,
                    event.campaign_id,
                    event.bait_id,
                    event.channel,
                    reason=(event.reason or "")[:40],
                    document={"code": event.code} if event.code else None,
                )
            )
        if deliveries:
            repository.put_deliveries(session, list(deliveries.values()))
        self._name(session, _campaigns(received))
        self._counting.record(session, raws)
        keys = {row.contact_key for row in deliveries.values() if row.contact_key}
        waiting.nudge(session, self._clock.now(), deliveries=deliveries, contact_keys=keys)

    def submitted(self, session: Session, received: Sequence[Received[LeadSubmitted]]) -> None:
        """New leads."""
        leads = [
            LeadRow(
                id=item.event.lead_id,
                bait_id=item.event.bait_id,
                channel=item.event.contacts[0].channel.value,
                contact_key=item.event.contacts[0].contact_key,
                submitted_at=item.occurred_at,
            )
            for item in received
        ]
        repository.put_leads(session, leads)
        self._name(
            session, {("bait", str(i.event.bait_id)): (i.event.bait_slug, i) for i in received}
        )
        self._counting.record(
            session,
            [
                Raw(
                    item.id,
                    item.event.kind,
                    SUBMITTED,
                    item.occurred_at,
                    item.event.lead_id,
                    bait_id=item.event.bait_id,
                    channel=lead.channel,
                    document=_campaign_words(item.event),
                )
                for item, lead in zip(received, leads, strict=True)
            ],
        )
        keys = {lead.contact_key for lead in leads if lead.contact_key}
        waiting.nudge(session, self._clock.now(), contact_keys=keys)

    def lead_stages(
        self, session: Session, received: Sequence[Received[LeadVerified | LeadOpened]]
    ) -> None:
        """Leads that were verified or opened their resource."""
        known = repository.leads(session, {item.event.lead_id for item in received})
        self._counting.record(
            session,
            [
                Raw(
                    item.id,
                    item.event.kind,
                    _STAGES[type(item.event)],
                    item.occurred_at,
                    item.event.lead_id,
                    bait_id=item.event.bait_id,
                    channel=known[item.event.lead_id].channel
                    if item.event.lead_id in known
                    else "",
                )
                for item in received
            ],
        )

    def displayed(self, session: Session, received: Sequence[Received[BaitDisplayed]]) -> None:
        """Forms drawn, for people and for known robots."""
        self._name(
            session, {("bait", str(i.event.bait_id)): (i.event.bait_slug, i) for i in received}
        )
        raws = []
        for item in received:
            event = item.event
            person = Raw(
                item.id,
                event.kind,
                DISPLAYED,
                item.occurred_at,
                bait_id=event.bait_id,
                channel=WEB,
                number=event.displays,
            )
            raws.append(person)
            if event.machine:
                raws.append(
                    person._replace(
                        id=derived(event.kind, item.id, "machine"),
                        number=event.machine,
                        machine=True,
                        reason="robot",
                    )
                )
        self._counting.record(session, raws)

    def profiles(self, session: Session, received: Sequence[Received[ProfileChanged]]) -> None:
        """Whose contacts are whose."""
        owners: dict[str, UUID] = {}
        people: set[UUID] = set()
        for item in received:
            state = item.event.state
            people.add(state.profile_id)
            owners |= {contact.contact_key: state.profile_id for contact in state.contacts}
        self._own(session, owners, received[-1])
        waiting.nudge(session, self._clock.now(), contact_keys=owners, profiles=people)

    def accepted(self, session: Session, received: Sequence[Received[ProfileLeadAccepted]]) -> None:
        """Leads that found their profile."""
        owners: dict[str, UUID] = {}
        for item in received:
            owners |= dict.fromkeys(item.event.contact_keys, item.event.profile_id)
        self._own(session, owners, received[-1])
        waiting.nudge(
            session, self._clock.now(), contact_keys=owners, profiles=set(owners.values())
        )

    def merged(self, session: Session, received: Sequence[Received[ProfileMerged]]) -> None:
        """Two profiles are one person: an alias that is applied on reading."""
        for item in received:
            repository.put_alias(session, item.event.merged_id, item.event.profile_id)

    def erased(self, session: Session, received: Sequence[Received[ProfileErased]]) -> None:
        """People were erased: the numbers stay, whose they are goes."""
        for item in received:
            self._forget(session, item.event.profile_id, item.event.contact_keys)

    def deleted(self, session: Session, received: Sequence[Received[Tombstone]]) -> None:
        """Profiles whose states are gone: an older one, read again, may have brought their contacts back."""
        for item in received:
            if item.record.topic == ProfileChanged.topic:
                profile_id = UUID(item.key)
                self._forget(session, profile_id, repository.keys_of(session, [profile_id]))

    def _forget(self, session: Session, profile_id: UUID, contact_keys: Iterable[str]) -> None:
        keys = sorted(contact_keys)
        theirs = repository.forget(session, profile_id, keys)
        funnel.forget_people(session, profile_id, keys, theirs)
        waiting.forget_people(session, profile_id, keys)

    def _own(self, session: Session, owners: Mapping[str, UUID], last: Received[Any]) -> None:
        if owners:
            repository.put_owners(session, list(owners.items()), last.occurred_at)

    def _name(
        self, session: Session, labels: Mapping[tuple[str, str], tuple[str, Received[Any]]]
    ) -> None:
        """Remember labels that are new. A series keeps the label under which it began."""
        if not labels:
            return
        known = funnel.known_names(session, sorted(labels))
        for (kind, thing), (label, item) in labels.items():
            if (kind, thing) not in known:
                funnel.add_name(session, kind, thing, label, item.occurred_at)


def _learn(deliveries: dict[UUID, DeliveryRow], item: Received[Outcome], *, sent: bool) -> None:
    event = item.event
    sent_at = item.occurred_at if sent else None
    known = deliveries.get(event.delivery_id)
    if known is None:
        deliveries[event.delivery_id] = DeliveryRow(
            event.delivery_id,
            event.campaign_id,
            event.bait_id,
            _lead(event.cause),
            event.channel,
            event.contact_key,
            event.profile_id,
            sent_at,
            repository.month_of(item.occurred_at),
        )
    elif sent_at is not None and known.sent_at is None:
        deliveries[event.delivery_id] = known._replace(sent_at=sent_at)


def _lead(cause: CausePart) -> UUID | None:
    if cause.kind != "lead":
        return None
    try:
        return UUID(cause.id)
    except ValueError:
        return None


def _campaigns(
    received: Iterable[Received[Outcome]],
) -> dict[tuple[str, str], tuple[str, Received[Any]]]:
    first: dict[UUID, Received[Outcome]] = {}
    for item in received:
        campaign = item.event.campaign_id
        if campaign is not None and campaign not in first:
            first[campaign] = item
    return {
        ("campaign", str(campaign)): (item.event.campaign_name or str(campaign), item)
        for campaign, item in first.items()
    }


def _campaign_words(event: LeadSubmitted) -> dict[str, Any] | None:
    """The utm words of a lead: they say where it came from and nothing of who it was."""
    words = {
        name: value
        for name, value in event.source.model_dump().items()
        if name.startswith("utm_") and value
    }
    return words or None
