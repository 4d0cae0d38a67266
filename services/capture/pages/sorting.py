"""What a plain form posted, sorted: contacts, fields, consents, where it came from, and the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.capture.baits.live import LiveForm
from services.capture.forms.encoding import Pairs
from services.capture.forms.values import yes_or_no
from services.capture.leads.submission import source_of
from services.shared.errors import FieldError

_CONSENT = "consent."
_OURS = frozenset({"_next", "_version", "_key", "_referrer", "_landing", "_submit"})
_SOURCE = frozenset({"utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"})


@dataclass(slots=True)
class SortedForm:
    """A posted form. `typed` is all that the visitor filled in, as it came, to be shown again."""

    contacts: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    consents: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, str] = field(default_factory=dict)
    typed: dict[str, list[str]] = field(default_factory=dict)
    wrong: list[FieldError] = field(default_factory=list)
    unknown: int = 0

    def source(self, referrer: str | None = None, landing: str | None = None) -> Mapping[str, str]:
        """Where the visitor came from: what the form carried, else what the browser said."""
        values: dict[str, str | None] = {name: self.ours.get(name) for name in _SOURCE}
        values["referrer"] = self.ours.get("_referrer") or referrer
        values["landing_page"] = self.ours.get("_landing") or landing
        return source_of(values)


def version_of(pairs: Pairs) -> int | None:
    """The version of the form that was shown, if the form says one."""
    text = next((value for name, value in pairs if name == "_version"), "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def sort_form(form: LiveForm, pairs: Pairs) -> SortedForm:
    """Sort what was posted by what the form asks. Unknown names are counted, never refused."""
    found = SortedForm()
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    for name, given in values.items():
        _place(form, found, name, given)
    return found


def _place(form: LiveForm, found: SortedForm, name: str, given: Sequence[str]) -> None:
    if name in _OURS or name in _SOURCE:
        found.ours[name] = given[0]
        return
    declared = form.fields.get(name)
    consent = name.removeprefix(_CONSENT) if name.startswith(_CONSENT) else None
    if declared is None and name not in form.document.contacts and consent not in form.consents:
        found.unknown += len(given)
        return
    found.typed[name] = list(given)
    if declared is not None and declared.type == "multi_choice":
        found.fields[name] = [value for value in given if value]
        return
    if len(given) > 1:
        found.wrong.append(FieldError(name, "repeated_field"))
    if declared is not None:
        found.fields[name] = given[0]
    elif consent is not None:
        found.consents[consent] = _ticked(given[0])
    else:
        found.contacts[name] = given[0]


def _ticked(value: str) -> Any:
    """A box that is posted is ticked, whatever its value, unless that says no."""
    said = yes_or_no(value)
    return True if said is None else said


def posted_name(error: FieldError) -> FieldError:
    """An error under the name that the form posted."""
    group, _, name = error.field.partition(".")
    if group in ("contact", "fields") and name:
        return FieldError(name, error.reason, error.detail)
    if group == "consents" and name:
        return FieldError(f"{_CONSENT}{name}", error.reason, error.detail)
    return error
