"""Taking a plain form, from the hosted page or from any site: read, sorted, accepted or drawn again."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request

from services.capture.baits.live import BaitShelf, LiveBait, LiveForm
from services.capture.forms.encoding import read_form
from services.capture.leads.checking import check
from services.capture.leads.service import LeadDesk
from services.capture.leads.submission import Accepted, Once, Submission, Way
from services.capture.pages.sorting import SortedForm, posted_name, sort_form, version_of
from services.shared.contact import ContactKeys
from services.shared.errors import FieldError, Invalid
from services.shared.web.client_address import Network, client_address
from services.shared.web.languages import language_of


@dataclass(frozen=True, slots=True)
class Taken:
    """A form that was accepted, or what was wrong with it: `accepted` None."""

    form: LiveForm
    posted: SortedForm
    accepted: Accepted | None
    wrong: tuple[FieldError, ...] = ()


class FormTaker:
    """Takes plain forms."""

    def __init__(
        self,
        desk: LeadDesk,
        shelf: BaitShelf,
        keys: ContactKeys,
        registry: CollectorRegistry,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._trusted = trusted
        self._desk = desk
        self._shelf = shelf
        self._keys = keys
        self._unknown = Counter(
            "baitwell_form_unknown_fields_total",
            "Fields of plain forms that the bait does not ask for; they are not kept.",
            registry=registry,
        )

    async def take(self, request: Request, bait: LiveBait, way: Way) -> Taken:
        """Take the form of a request. Raises what is no matter of single fields."""
        body = await request.body()
        decoded = read_form(request.headers.get("content-type", ""), body)
        form = await self._shelf.form(bait, version_of(decoded.pairs))
        posted = sort_form(form, decoded.pairs)
        if posted.unknown or decoded.files:
            self._unknown.inc(posted.unknown + decoded.files)
        submission = self._submission(request, bait, form, posted, way)
        if posted.wrong:
            return Taken(form, posted, None, self._all_wrong(form, posted, submission))
        try:
            answer = await self._desk.accept(bait, submission)
        except Invalid as problem:
            if not problem.fields:
                raise
            return Taken(form, posted, None, tuple(posted_name(e) for e in problem.fields))
        return Taken(form, posted, answer)

    def _submission(
        self, request: Request, bait: LiveBait, form: LiveForm, posted: SortedForm, way: Way
    ) -> Submission:
        once: Once | None = None
        key = posted.ours.get("_key")
        if key:
            # the same filling sent twice is one lead; corrected and sent again it is another
            hashed = self._keys.opaque("body", repr(sorted(posted.typed.items())))
            text = f"form\x1f{bait.slug}\x1f{key[:100]}\x1f{hashed}"
            once = Once(self._keys.opaque("once", text), hashed)
        landing = request.headers.get("referer") if way == "form" else None
        return Submission(
            way=way,
            contacts=posted.contacts,
            fields=posted.fields,
            consents=posted.consents,
            source=posted.source(landing=landing),
            language=language_of(request),
            form_version=form.version,
            ip=client_address(request, self._trusted) or None,
            once=once,
        )

    def _all_wrong(
        self, form: LiveForm, posted: SortedForm, submission: Submission
    ) -> tuple[FieldError, ...]:
        """Names that came twice, and what else is wrong."""
        repeated = {error.field for error in posted.wrong}
        try:
            check(form, submission)
        except Invalid as problem:
            others = (posted_name(error) for error in problem.fields)
            return (*posted.wrong, *(e for e in others if e.field not in repeated))
        return tuple(posted.wrong)
