"""Templates: made, edited as new versions, previewed, tried out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from services.push.channels.base import render
from services.push.deliveries.material import ContentMissing
from services.push.deliveries.planning import Wish, plan
from services.push.templates import repository
from services.push.templates.compiling import Refused, sample
from services.push.templates.content import Compiled, ContentStore
from services.push.templates.models import Template, TemplateVersion
from services.push.templates.schemas import (
    PreviewIn,
    PreviewOut,
    TemplateEdit,
    TemplateIn,
    TrialIn,
)
from services.push.templates.spec import TemplateSpec
from services.push.templates.variables import UNSUBSCRIBE, plain, typed, values_of
from services.shared.clock import Clock
from services.shared.contact import BadAddress, Channel, ContactKeys, parse_contact
from services.shared.database import Database, Work
from services.shared.errors import Conflict, FieldError, Invalid, NotFound, TooMany
from services.shared.ids import Ids
from services.shared.web.versions import check_version

T = TypeVar("T")

TESTS_AN_HOUR = 30
_NOTHING = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
"""A pixel that asks nobody."""


@dataclass(frozen=True)
class TemplateDesk:
    """What can be done with templates. Everything is durable when it returns."""

    database: Database
    clock: Clock
    ids: Ids
    store: ContentStore
    contact_keys: ContactKeys
    public_url: str

    async def create(self, wanted: TemplateIn, by: str) -> tuple[Template, TemplateVersion]:
        """Raises `Invalid` for content that can't be used, `Conflict` for a name that is taken."""
        spec = wanted.spec(wanted.channel)
        self.check(spec)
        now, template_id = self.clock.now(), self.ids.new()
        version = self._version(template_id, 1, spec, by)
        template = Template(
            id=template_id,
            name=wanted.name,
            channel=wanted.channel,
            kind=wanted.kind,
            version=1,
            version_id=version.id,
            created_at=now,
            updated_at=now,
        )

        def work(session: Session) -> None:
            _check_name(session, wanted.name, None)
            session.add_all([Template(**template.model_dump()), version])

        await self._named(work)
        return template, version

    async def edit(
        self, template_id: UUID, expected: int | None, wanted: TemplateEdit, by: str
    ) -> tuple[Template, TemplateVersion]:
        """A new version. Raises `PreconditionFailed`, and what `create` does."""

        def work(session: Session) -> tuple[Template, TemplateVersion]:
            template = repository.find(session, template_id, lock=True)
            if template is None:
                raise NotFound
            check_version(expected, template.version)
            _check_name(session, wanted.name, template_id)
            spec = wanted.spec(template.channel)  # type: ignore[arg-type]  # written by `create`
            self.check(spec)
            version = self._version(template_id, template.version + 1, spec, by)
            template.name = wanted.name
            template.kind = wanted.kind
            template.version = version.number
            template.version_id = version.id
            template.updated_at = version.created_at
            session.add_all([template, version])
            return template, version

        return await self._named(work)

    async def _named(self, work: Work[T]) -> T:
        try:
            return await self.database.transaction(work)
        except IntegrityError as error:  # two at once took the same name or number
            raise Conflict(fields=(FieldError("name", "taken"),)) from error

    async def get(
        self, template_id: UUID, number: int | None = None
    ) -> tuple[Template, TemplateVersion]:
        """A template with its newest or another version. Raises `NotFound`."""

        def work(session: Session) -> tuple[Template, TemplateVersion]:
            template = repository.find(session, template_id)
            if template is None:
                raise NotFound
            version = repository.version(session, template_id, number or template.version)
            if version is None:
                raise NotFound
            return template, version

        return await self.database.read(work)

    async def listing(self, cursor: str | None, limit: int) -> list[Template]:
        """Newest first; one more than `limit` when there are more. Raises `Invalid`."""
        return await self.database.read(lambda s: repository.page(s, cursor, limit))

    async def preview(self, template_id: UUID, asked: PreviewIn) -> PreviewOut:
        """The message that a person would get. Raises `Invalid`, `NotFound`."""

        def work(session: Session) -> PreviewOut:
            spec, compiled, fields = self._prepared(session, template_id, asked)
            _check_given(spec, asked.values)
            return written_out(compiled, asked.values, fields, f"{self.public_url}/u/preview")

        return await self.database.read(work)

    async def samples(self, template_id: UUID, version_id: UUID | None) -> list[PreviewOut]:
        """What a version says (None: the newest), in each language, with default and sample values."""

        def work(session: Session) -> list[PreviewOut]:
            template = repository.find(session, template_id)
            if template is None:
                return []
            picked = version_id or template.version_id
            shown = []
            compiled = self.store.compiled(session, picked, None)
            for language in compiled.spec.contents if compiled else ():
                found = self.store.compiled(session, picked, language)
                assert found is not None
                values = {v.name: plain(sample(v)) for v in found.spec.variables}
                shown.append(written_out(found, values, {}, "#"))
            return shown

        return await self.database.read(work)

    async def send_test(self, template_id: UUID, asked: TrialIn) -> UUID:
        """Send a test to an address of the operator's; its delivery's id.

        Raises `Invalid`, `NotFound`, `TooMany`.
        """
        try:
            contact = parse_contact(Channel.EMAIL, asked.address)
        except BadAddress as error:
            raise Invalid(fields=(FieldError("address", error.reason),)) from error
        contact_key = self.contact_keys.contact_key(contact)
        cause_id, now = self.ids.new(), self.clock.now()

        def work(session: Session) -> UUID:
            spec, compiled, fields = self._prepared(session, template_id, asked)
            _check_given(spec, asked.values)
            if repository.tests_since(session, now - timedelta(hours=1)) >= TESTS_AN_HOUR:
                raise TooMany(
                    ("一小时内的测试次数已达上限。", "No more tests can be sent this hour."),
                    retry_after=600,
                )
            known = {v.name: plain(sample(v)) for v in spec.variables}
            person = values_of(spec.variables, fields, asked.values)
            known |= {name: plain(value) for name, value in person.items()}
            written_out(compiled, known, {}, "")
            template = repository.find(session, template_id)
            assert template is not None
            wish = Wish(
                cause_kind="test",
                cause_id=str(cause_id),
                contact_key=contact_key,
                channel=template.channel,
                language=compiled.language,
                marketing=False,
                template_version_id=template.version_id,
                values=known,
                address=contact.address,
                abuse_key=self.contact_keys.abuse_key(contact),
                capped=False,
            )
            return plan(session, [wish], self.ids, now)[contact_key]

        return await self.database.transaction(work)

    def check(self, spec: TemplateSpec) -> None:
        """Whether content can be used. Raises `Invalid` with a field for every language's first fault."""
        wrong: list[FieldError] = []
        used: set[str] = set()
        for language in spec.contents:
            try:
                used |= self.store.compile(spec, language, "check").names
            except Refused as refused:
                fault = refused.fault
                name = f"contents.{language}.{refused.part}"
                wrong.append(FieldError(name, fault.reason, fault.detail))
        if not wrong:
            wrong = [
                FieldError(f"variables.{number}.name", "unused_variable")
                for number, variable in enumerate(spec.variables)
                if variable.name not in used - {UNSUBSCRIBE}
            ]
        if wrong:
            raise Invalid(fields=tuple(wrong))

    def _version(
        self, template_id: UUID, number: int, spec: TemplateSpec, by: str
    ) -> TemplateVersion:
        return TemplateVersion(
            id=self.ids.new(),
            template_id=template_id,
            number=number,
            document=spec.document(),
            created_at=self.clock.now(),
            created_by=by[:200],
        )

    def _prepared(
        self, session: Session, template_id: UUID, asked: PreviewIn
    ) -> tuple[TemplateSpec, Compiled, Mapping[str, Any]]:
        """What a preview needs. Raises `NotFound`, `Invalid`."""
        template = repository.find(session, template_id)
        if template is None:
            raise NotFound
        fields: Mapping[str, Any] = {}
        language: str | None = asked.language
        if asked.profile_id is not None:
            profile = repository.profile_of(session, asked.profile_id)
            if profile is None:
                raise Invalid(fields=(FieldError("profile_id", "no_such_thing"),))
            fields, language = profile.fields, language or profile.language
        compiled = self.store.compiled(session, template.version_id, language)
        if compiled is None:
            raise NotFound
        return compiled.spec, compiled, fields


def written_out(
    compiled: Compiled, given: Mapping[str, Any], fields: Mapping[str, Any], leave: str
) -> PreviewOut:
    """A message written out with plain links. Raises `Invalid` for a value that is missing."""
    try:
        piece = compiled.for_person(given, fields)
    except ContentMissing as error:
        name = f"values.{error.variable}" if error.variable else "values"
        raise Invalid(fields=(FieldError(name, error.reason),)) from error
    values = dict(piece.values) | {"open": _NOTHING, "unsubscribe": leave}
    values |= {f"link:{number}": target for number, target in enumerate(piece.links)}
    content = piece.content
    return PreviewOut(
        language=content.language,
        subject=render(content.subject, values),
        text=render(content.text, values),
        html=None if content.html is None else render(content.html, values),
        links=list(piece.links),
    )


def _check_given(spec: TemplateSpec, values: Mapping[str, Any]) -> None:
    kinds = {variable.name: variable.type for variable in spec.variables}
    wrong = []
    for name, value in values.items():
        if name not in kinds:
            wrong.append(FieldError(f"values.{name}", "undeclared_variable"))
        elif value != "" and typed(kinds[name], value) is None:
            wrong.append(FieldError(f"values.{name}", "wrong_type"))
    if wrong:
        raise Invalid(fields=tuple(wrong))


def _check_name(session: Session, name: str, besides: UUID | None) -> None:
    if repository.name_taken(session, name, besides):
        raise Conflict(fields=(FieldError("name", "taken"),))
