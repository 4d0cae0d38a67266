"""What a lead says to others: `lead.submitted`, the wish for its bait mail, and notices to staff.

It is written per submission, so its JSON is written directly; a test holds it against the event classes.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache, partial
from json.encoder import encode_basestring as quoted
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json

from services.capture.baits.live import LiveBait, LiveForm, contact_part
from services.capture.baits.service import Delivery
from services.capture.leads.checking import Checked
from services.capture.leads.submission import Submission
from services.capture.settings import CaptureSettings
from services.shared.contact import Channel, parse_contact
from services.shared.events import Event, Message, message_of
from services.shared.events.envelope import stamp
from services.shared.events.leads import LeadSubmitted
from services.shared.events.push import PushRequested
from services.shared.ground import Ground
from services.shared.ids import derived_text

ContactDocument = Mapping[str, str]


class Letter(NamedTuple):
    """The lead's id as text, the contact that the bait is sent to, the document, what goes to the log."""

    lead: str
    contact: ContactDocument
    document: str
    messages: list[Message]


class Letters:
    """Writes what a lead says. Nothing that a visitor typed gets into a message to anybody."""

    def __init__(self, ground: Ground[CaptureSettings], delivery: Delivery) -> None:
        self._ground = ground
        self._keys = ground.contact_keys
        self._delivery = delivery
        self._public_url = ground.settings.public_url
        self._ip_hash = lru_cache(1024)(partial(ground.contact_keys.opaque, "ip"))

    def write(
        self,
        bait: LiveBait,
        form: LiveForm,
        submission: Submission,
        checked: Checked,
        lead_id: UUID,
        now: datetime,
    ) -> Letter:
        """Everything that one lead says."""
        contacts = [contact_part(contact, self._keys) for contact in checked.contacts]
        first = contacts[0]
        if len(contacts) > 1:
            channel = self._delivery.first([c["channel"] for c in contacts], bait.document)
            contacts.sort(key=lambda contact: contact["channel"] != channel)
            first = contacts[0]
        language = submission.language or form.document.language
        lead = str(lead_id)
        texts = [_contact_text(contact) for contact in contacts]
        told = _consents(checked, contacts, bait.slug, now)
        document = self._document(bait, form, submission, checked, lead, (",".join(texts), told))
        event_id = derived_text("lead.submitted", lead)
        value = document.encode()
        messages = [_message(LeadSubmitted, value, event_id, first["contact_key"], now)]
        mailed = self._mailed(first, bait)
        if mailed is not None:
            to = texts[0] if mailed is first else _contact_text(mailed)
            wish = self._bait_mail(bait, to, lead_id, lead, language)
            event_id = derived_text("push.requested", "lead", lead)
            messages.append(_message(PushRequested, wish, event_id, mailed["contact_key"], now))
        if bait.staff:
            messages += [self._notice(bait, staff, lead_id, now) for staff in bait.staff]
        return Letter(lead, first, document, messages)

    def _document(
        self,
        bait: LiveBait,
        form: LiveForm,
        submission: Submission,
        checked: Checked,
        lead: str,
        parts: tuple[str, str],
    ) -> str:
        """The document of a lead; `parts`: its contacts and its consents as JSON."""
        contacts, consents = parts
        fields = types = "{}"
        if checked.fields:
            fields = to_json(checked.fields).decode()
            types = to_json({name: form.types[name] for name in checked.fields}).decode()
        tags = to_json(bait.document.tags).decode() if bait.document.tags else "[]"
        language = quoted(submission.language or form.document.language)
        ip_hash = f'"{self._ip_hash(submission.ip)}"' if submission.ip else "null"
        return (
            f'{{"lead_id":"{lead}","bait_id":"{bait.name}","bait_slug":"{bait.slug}",'
            f'"bait_version":{form.version},"language":{language},'
            f'"contacts":[{contacts}],'
            f'"fields":{fields},"field_types":{types},"tags":{tags},'
            f'"consents":[{consents}],'
            f'"source":{_flat(tuple(submission.source.items()))},'
            f'"proof":{{"form_version":{form.version},"language":{language},"ip_hash":{ip_hash},'
            f'"way":"{submission.way}"}}}}'
        )

    def _mailed(self, contact: ContactDocument, bait: LiveBait) -> ContactDocument | None:
        if not self._delivery.connected(contact["channel"], bait.document):
            return None
        if contact["channel"] == Channel.QQ:
            mailbox = parse_contact(Channel.EMAIL, f"{contact['identity']}@qq.com")
            return contact_part(mailbox, self._keys)
        return contact

    def _bait_mail(self, bait: LiveBait, to: str, lead_id: UUID, lead: str, language: str) -> bytes:
        """The wish for a mail `to` a contact, which is JSON already."""
        link = f"{self._public_url}/r/{self._ground.tokens.sign('r', lead_id)}"
        return (
            f'{{"cause":{{"kind":"lead","id":"{lead}"}},"contact":{to},'
            f'"template":"bait_mail","language":{quoted(language)},'
            f'"values":{{"bait_title":{quoted(bait.document.title)},"link":{quoted(link)},'
            f'"sender":{quoted(bait.document.sender)}}},"bait_id":"{bait.name}","verified":false}}'
        ).encode()

    def _notice(
        self, bait: LiveBait, staff: ContactDocument, lead_id: UUID, now: datetime
    ) -> Message:
        wish = {
            "cause": {"kind": "notice", "id": str(lead_id)},
            "contact": staff,
            "template": "lead_notice",
            "language": bait.document.language,
            "values": {"bait_title": bait.document.title, "link": f"{self._public_url}/people"},
            "bait_id": bait.name,
            "verified": False,
        }
        event_id = derived_text("push.requested", "notice", lead_id, staff["contact_key"])
        return _message(PushRequested, to_json(wish), event_id, staff["contact_key"], now)


def _message(
    kind: type[Event], value: bytes, event_id: str, key: str, occurred_at: datetime
) -> Message:
    return message_of(
        kind, value, event_id=event_id, key=key, occurred_at=occurred_at, source="capture"
    )


def _consents(checked: Checked, contacts: list[dict[str, str]], slug: str, now: datetime) -> str:
    """Consent for the channels of the contacts that were left."""
    if not checked.consents:
        return ""
    channels = {contact["channel"]: contact["contact_key"] for contact in contacts}
    at = stamp(now)
    return ",".join(
        f'{{"purpose":{quoted(consent.purpose)},"channel":"{consent.channel}","given":true,'
        f'"text_version":{quoted(consent.version)},"at":"{at}","source":"bait:{slug}",'
        f'"contact_key":"{channels[consent.channel]}"}}'
        for consent in checked.consents
        if consent.channel in channels
    )


def _contact_text(contact: ContactDocument) -> str:
    """A contact as JSON. Kinds and keys have nothing that would need an escape."""
    return (
        f'{{"channel":"{contact["channel"]}","account":{quoted(contact["account"])},'
        f'"address":{quoted(contact["address"])},"identity":{quoted(contact["identity"])},'
        f'"contact_key":"{contact["contact_key"]}","abuse_key":"{contact["abuse_key"]}"}}'
    )


@lru_cache(maxsize=256)
def _flat(texts: tuple[tuple[str, str], ...]) -> str:
    """Our own names and their texts as JSON: where leads come from is the same for many."""
    return "{" + ",".join([f'"{name}":{quoted(text)}' for name, text in texts]) + "}"
