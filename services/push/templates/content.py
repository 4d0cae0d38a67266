"""Content ready to be sent: compiled once per version and language, filled for one person at a time."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jinja2 import Template, nodes
from sqlmodel import Session

from services.push.channels.base import Content
from services.push.deliveries.material import ContentMissing, MaterialKey, Piece, slots_of
from services.push.templates import marks
from services.push.templates.compiling import (
    Program,
    compiled,
    one_line,
    split_values,
    text_of,
    values_template,
)
from services.push.templates.models import TemplateVersion
from services.push.templates.sandbox import RenderFailed, rendered
from services.push.templates.spec import TemplateSpec
from services.push.templates.variables import Value, shown, values_of

_CACHED_VERSIONS = 256
_CACHED_CHOICES = 256

Now = Callable[[], float]
"""A monotonic clock."""


@dataclass(frozen=True, slots=True)
class _Filled:
    """A content and how its variable slots get their values."""

    content: Content
    slots: tuple[str, ...]
    plain: tuple[tuple[str, str], ...]
    computed: tuple[str, ...]
    template: Template | None


class Compiled:
    """One language of one template version: the material of its deliveries."""

    def __init__(self, spec: TemplateSpec, program: Program, key: str, now: Now) -> None:
        self._spec = spec
        self._program = program
        self._key = key
        self._now = now
        self._slots = program.expressions.slot_names()
        self._choices: dict[tuple[str, str, str | None], _Filled] = {}
        parts = (program.subject, program.text, program.html)
        fixed = all(part is None or part.fixed is not None for part in parts)
        self._fixed = self._chosen({}) if fixed else None

    @property
    def language(self) -> str:
        return self._program.language

    @property
    def spec(self) -> TemplateSpec:
        return self._spec

    @property
    def names(self) -> frozenset[str]:
        """The variables that it uses."""
        return self._program.names

    @property
    def targets(self) -> tuple[str, ...]:
        """The addresses behind the tracked links, by link number."""
        return self._program.targets

    def for_person(self, given: Mapping[str, Any], fields: Mapping[str, Any]) -> Piece:
        """The content for one person: `given` are values by variable name, `fields` are the profile's.

        Raises `ContentMissing`.
        """
        person = values_of(self._spec.variables, fields, given)
        try:
            filled = self._fixed or self._chosen(person)
            values = self._computed(filled, person)
        except RenderFailed as error:
            missing = sorted(v.name for v in self._spec.variables if v.name not in person)
            if missing:
                raise ContentMissing("value_missing", missing[0]) from error
            raise ContentMissing("render_failed") from error
        language = self._program.language
        for slot, name in filled.plain:
            value = person.get(name)
            if value is None:
                raise ContentMissing("value_missing", name)
            values[slot] = value if isinstance(value, str) else shown(value, language)
        return Piece(filled.content, filled.slots, values, self._program.targets)

    def _computed(self, filled: _Filled, person: Mapping[str, Value]) -> dict[str, str]:
        if filled.template is None:
            return {}
        written = split_values(rendered(filled.template, person, self._now))
        return dict(zip(filled.computed, written, strict=True))

    def _chosen(self, person: Mapping[str, Value]) -> _Filled:
        """The content whose branches this person's values choose; the same choices share one."""
        program, now = self._program, self._now
        key = (
            one_line(text_of(program.subject, person, now)),
            text_of(program.text, person, now),
            text_of(program.html, person, now) if program.html else None,
        )
        filled = self._choices.get(key)
        if filled is None:
            if len(self._choices) >= _CACHED_CHOICES:
                self._choices.clear()
            filled = self._choices[key] = self._filled(*key)
        return filled

    def _filled(self, subject: str, text: str, html: str | None) -> _Filled:
        joined = "\n".join((subject, text, html or ""))
        digest = hashlib.blake2b(joined.encode("utf-8", "replace"), digest_size=8).hexdigest()
        content = Content(
            marks.segments(subject, self._slots, "text"),
            marks.segments(text, self._slots, "text"),
            None if html is None else marks.segments(html, self._slots, "html"),
            self._program.language,
            f"{self._key}:{digest}",
        )
        plain: list[tuple[str, str]] = []
        computed: list[tuple[str, nodes.Expr]] = []
        for number in marks.expressions_in(joined):
            node = self._program.expressions.found[number]
            if isinstance(node, nodes.Name):
                plain.append((self._slots[number], node.name))
            else:
                computed.append((self._slots[number], node))
        template = None
        if computed:
            template = values_template(self._program.sandbox, [node for _, node in computed])
        return _Filled(
            content,
            slots_of(content),
            tuple(plain),
            tuple(slot for slot, _ in computed),
            template,
        )


class ContentStore:
    """Compiled contents by version and language, kept while there is room: versions never change."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._specs: dict[UUID, TemplateSpec] = {}
        self._compiled: dict[tuple[UUID, str], Compiled] = {}

    def load(
        self, session: Session, keys: Collection[MaterialKey]
    ) -> Mapping[MaterialKey, Compiled]:
        """The material of each key that names a version of a template; others are left out."""
        found: dict[MaterialKey, Compiled] = {}
        for key in keys:
            if isinstance(key.version, UUID):
                material = self.compiled(session, key.version, key.language)
                if material is not None:
                    found[key] = material
        return found

    def compiled(self, session: Session, version_id: UUID, language: str | None) -> Compiled | None:
        """The content of a version for a reader of `language`; None when there is no such version."""
        spec = self._specs.get(version_id)
        if spec is None:
            version = session.get(TemplateVersion, version_id)
            if version is None:
                return None
            spec = TemplateSpec.of(version.document)
            _make_room(self._specs)
            self._specs[version_id] = spec
        picked = spec.language_for(language)
        found = self._compiled.get((version_id, picked))
        if found is None:
            found = self.compile(spec, picked, f"{version_id}:{picked}")
            _make_room(self._compiled)
            self._compiled[version_id, picked] = found
        return found

    def compile(self, spec: TemplateSpec, language: str | None, key: str) -> Compiled:
        """Compile what is not kept as a version. `key` names it in caches. Raises `Refused`."""
        picked = spec.language_for(language)
        return Compiled(spec, compiled(spec, picked, spec.contents[picked]), key, self._now)


def _make_room(cache: dict[Any, Any]) -> None:
    if len(cache) >= _CACHED_VERSIONS:
        cache.pop(next(iter(cache)))
