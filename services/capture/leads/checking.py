"""Holds a submission against the form that the visitor saw."""

from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

from services.capture.baits.fields import ConsentText
from services.capture.baits.live import LiveForm
from services.capture.forms.values import read_value, yes_or_no
from services.capture.leads.submission import Submission
from services.capture.text import BadText, plain
from services.shared.contact import BadAddress, Channel, Contact, parse_contact
from services.shared.errors import FieldError, Invalid

_LONGEST_ADDRESS = 254


class Checked(NamedTuple):
    """What a submission says, in the types that the form declares."""

    contacts: list[Contact]
    fields: dict[str, Any]
    consents: list[ConsentText]


def check(form: LiveForm, submission: Submission) -> Checked:
    """Read every part; all that is wrong is told at once. Raises `Invalid`."""
    wrong: list[FieldError] = []
    contacts = _contacts(form, submission.contacts, wrong)
    fields = _fields(form, submission.fields, wrong)
    consents = _consents(form, submission.consents, wrong)
    if wrong:
        raise Invalid(fields=tuple(wrong))
    return Checked(contacts, fields, consents)


def _contacts(form: LiveForm, given: Mapping[str, str], wrong: list[FieldError]) -> list[Contact]:
    document = form.document
    found: list[Contact] = []
    failed = len(wrong)
    for channel in document.contacts:
        typed = given.get(channel)
        if typed is None or not typed.strip():
            if document.contacts_needed == "all" or len(document.contacts) == 1:
                wrong.append(FieldError(f"contact.{channel}", "required"))
            continue
        try:
            text = plain(typed, _LONGEST_ADDRESS)
            found.append(parse_contact(Channel(channel), text))
        except (BadText, BadAddress) as error:
            wrong.append(FieldError(f"contact.{channel}", error.reason))
    wrong += _unknown("contact", given, document.contacts)
    if not found and len(wrong) == failed:
        wrong.append(FieldError(f"contact.{document.contacts[0]}", "one_of_required"))
    return found


def _fields(form: LiveForm, given: Mapping[str, Any], wrong: list[FieldError]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, declaration in form.fields.items():
        try:
            value = read_value(declaration, given.get(name))
        except BadText as error:
            wrong.append(FieldError(f"fields.{name}", error.reason))
            continue
        if value is not None:
            values[name] = value
    wrong += _unknown("fields", given, form.fields)
    return values


def _consents(
    form: LiveForm, given: Mapping[str, Any], wrong: list[FieldError]
) -> list[ConsentText]:
    agreed: list[ConsentText] = []
    for name, consent in form.consents.items():
        said = yes_or_no(given.get(name, False))
        if said is None:
            wrong.append(FieldError(f"consents.{name}", "not_boolean"))
        elif said:
            agreed.append(consent)
        elif consent.required:
            wrong.append(FieldError(f"consents.{name}", "required"))
    wrong += _unknown("consents", given, form.consents)
    return agreed


def _unknown(group: str, given: Iterable[str], known: Container[str]) -> list[FieldError]:
    return [
        FieldError(f"{group}.{name}"[:200], "unknown_field") for name in given if name not in known
    ]
