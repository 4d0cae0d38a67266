"""What a lead says to others: `lead.submitted`, the wish for its bait mail, and notices to staff."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.capture.baits.live import LiveBait, LiveForm, contact_part
from services.capture.baits.service import Delivery
from services.capture.leads.checking import Checked
from services.capture.leads.submission import Submission
from services.capture.settings import CaptureSettings
from services.shared.contact import Channel, parse_contact
from services.shared.events import Event, Message, encode
from services.shared.events.leads import LeadSubmitted
from services.shared.events.parts import CausePart, ConsentPart, ContactPart, ProofPart
from services.shared.events.push import PushRequested
from services.shared.ground import Ground
from services.shared.ids import derived


class Letter(NamedTuple):
    """The contact that the bait is sent to, the lead's document, and what goes to the log."""

    contact: ContactPart
    document: str
    messages: list[Message]


class Letters:
    """Writes what a lead says. Nothing that a visitor typed gets into a message to anybody."""

    def __init__(self, ground: Ground[CaptureSettings], delivery: Delivery) -> None:
        self._ground = ground
        self._keys = ground.contact_keys
        self._delivery = delivery
        self._public_url = ground.settings.public_url

    def write(
        self,
        bait: LiveBait,
        form: LiveForm,
        submission: Submission,
        checked: Checked,
        lead_id: UUID,
    ) -> Letter:
        """Everything that one lead says."""
        now = self._ground.clock.now()
        contacts = [contact_part(contact, self._keys) for contact in checked.contacts]
        first = self._first(contacts, bait)
        if contacts[0] is not first:
            contacts.remove(first)
            contacts.insert(0, first)
        language = submission.language or form.document.language
        submitted = LeadSubmitted.model_construct(
            lead_id=lead_id,
            bait_id=bait.id,
            bait_slug=bait.slug,
            bait_version=form.version,
            language=language,
            contacts=tuple(contacts),
            fields=checked.fields,
            field_types={name: form.types[name] for name in checked.fields},
            tags=bait.document.tags,
            consents=_consents(checked, contacts, bait.slug, now),
            source=submission.source,
            proof=self._proof(form, submission, language),
        )
        message = encode(
            submitted,
            event_id=derived("lead.submitted", lead_id),
            key=first.contact_key,
            occurred_at=now,
            source="capture",
        )
        messages = [message]
        mailed = self._mailed(first, bait)
        if mailed is not None:
            messages.append(self._bait_mail(bait, mailed, lead_id, language, now))
        messages += [self._notice(bait, staff, lead_id, now) for staff in bait.staff]
        return Letter(first, (message.value or b"").decode(), messages)

    def _first(self, contacts: list[ContactPart], bait: LiveBait) -> ContactPart:
        channel = self._delivery.first([c.channel.value for c in contacts], bait.document)
        return next(contact for contact in contacts if contact.channel.value == channel)

    def _mailed(self, contact: ContactPart, bait: LiveBait) -> ContactPart | None:
        if not self._delivery.connected(contact.channel.value, bait.document):
            return None
        if contact.channel is Channel.QQ:
            mailbox = parse_contact(Channel.EMAIL, f"{contact.identity}@qq.com")
            return contact_part(mailbox, self._keys)
        return contact

    def _bait_mail(
        self, bait: LiveBait, to: ContactPart, lead_id: UUID, language: str, now: datetime
    ) -> Message:
        token = self._ground.tokens.sign("r", lead_id)
        wish = PushRequested.model_construct(
            cause=CausePart.model_construct(kind="lead", id=str(lead_id)),
            contact=to,
            template="bait_mail",
            language=language,
            values={
                "bait_title": bait.document.title,
                "link": f"{self._public_url}/r/{token}",
                "sender": bait.document.sender,
            },
            bait_id=bait.id,
            verified=False,
        )
        return self._wish(wish, derived("push.requested", "lead", lead_id), to, now)

    def _notice(self, bait: LiveBait, staff: ContactPart, lead_id: UUID, now: datetime) -> Message:
        wish = PushRequested.model_construct(
            cause=CausePart.model_construct(kind="notice", id=str(lead_id)),
            contact=staff,
            template="lead_notice",
            language=bait.document.language,
            values={"bait_title": bait.document.title, "link": f"{self._public_url}/people"},
            bait_id=bait.id,
            verified=False,
        )
        event_id = derived("push.requested", "notice", lead_id, staff.contact_key)
        return self._wish(wish, event_id, staff, now)

    def _wish(self, wish: Event, event_id: UUID, to: ContactPart, now: datetime) -> Message:
        return encode(
            wish, event_id=event_id, key=to.contact_key, occurred_at=now, source="capture"
        )

    def _proof(self, form: LiveForm, submission: Submission, language: str) -> ProofPart:
        return ProofPart.model_construct(
            form_version=form.version,
            language=language,
            ip_hash=self._keys.opaque("ip", submission.ip) if submission.ip else None,
            way=submission.way,
        )


def _consents(
    checked: Checked, contacts: list[ContactPart], slug: str, now: datetime
) -> tuple[ConsentPart, ...]:
    """Consent for the channels of the contacts that were left."""
    channels = {contact.channel.value: contact.contact_key for contact in contacts}
    return tuple(
        ConsentPart.model_construct(
            purpose=consent.purpose,
            channel=Channel(consent.channel),
            given=True,
            text_version=consent.version,
            at=now,
            source=f"bait:{slug}",
            contact_key=channels[consent.channel],
        )
        for consent in checked.consents
        if consent.channel in channels
    )
