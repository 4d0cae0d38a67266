"""Reading the body of a posted lead: strictly, and in one pass where that is enough.

The strict reader of JSON is Python's, because it can tell a name that comes twice. Most bodies need no such
care: pydantic reads and checks them at once, and when a text has exactly as many names as were taken, none
of them came twice. Whatever is out of the ordinary goes the strict way, which alone decides what is refused.
"""

import re

from pydantic import TypeAdapter, ValidationError

from services.capture.leads.schemas import LeadBody
from services.shared.errors import Invalid
from services.shared.web.body import field_errors, strict_json

_BODY: TypeAdapter[LeadBody] = TypeAdapter(LeadBody)
# every name of an object is followed by a colon, and so is at most more, inside of texts
_NAMES = re.compile(rb'"[ \t\r\n]*:')
_LONGEST = 4096


def read_lead(raw: bytes) -> LeadBody:
    """The body, checked. Raises `Invalid`."""
    body = _read_plain(raw) if len(raw) <= _LONGEST and b"\\" not in raw else None
    if body is not None:
        return body
    try:
        return _BODY.validate_python(strict_json(raw))
    except ValidationError as error:
        raise Invalid(fields=field_errors(error)) from error


def _read_plain(raw: bytes) -> LeadBody | None:
    """The body when it is plain: texts and yes or no, no escapes, no name twice; else None."""
    try:
        body: LeadBody = _BODY.validator.validate_json(raw)
    except ValidationError:
        return None
    names = len(body.model_fields_set) + len(body.contact) + len(body.consents)
    if body.source is not None:
        names += len(body.source.model_fields_set)
    if body.fields:
        names += len(body.fields)
        if not all(type(value) in (str, bool) for value in body.fields.values()):
            return None
    return body if len(_NAMES.findall(raw)) == names else None
