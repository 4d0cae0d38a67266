"""From the source of one language to what a dispatcher needs: marked parts, targets, expressions."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from jinja2 import Template, nodes

from services.push.templates import html_part, marks
from services.push.templates.addresses import Targets, track_bare
from services.push.templates.sandbox import RenderFailed, TemplateSandbox, rendered
from services.push.templates.spec import Source, TemplateSpec
from services.push.templates.syntax import Expressions, Faulty, Parsed, parse
from services.push.templates.variables import UNSUBSCRIBE, Value, Variable, typed

T = TypeVar("T")

_BLANKS = re.compile(r"\s+")
_SAMPLES: dict[str, Value] = {
    "text": "Sample",
    "number": 1,
    "date": date(2026, 1, 31),
    "boolean": True,
}
_SEPARATOR = marks.EDGE


class Refused(Exception):
    """One part of a content is refused: which, and why."""

    def __init__(self, part: str, fault: Faulty) -> None:
        super().__init__(f"{part}: {fault.reason}")
        self.part = part
        self.fault = fault


@dataclass(frozen=True)
class MarkedPart:
    """A part whose text is the same for all (`fixed`), or is chosen by a person's values."""

    fixed: str | None
    template: Template | None


@dataclass(frozen=True)
class Program:
    """One language of one template version, compiled."""

    language: str
    subject: MarkedPart
    text: MarkedPart
    html: MarkedPart | None
    targets: tuple[str, ...]
    expressions: Expressions
    sandbox: TemplateSandbox
    names: frozenset[str]


def compiled(spec: TemplateSpec, language: str, source: Source) -> Program:
    """Check and compile one language. Raises `Refused` for the first fault that is found."""
    return _Compiler(spec, language).program(source)


class _Compiler:
    def __init__(self, spec: TemplateSpec, language: str) -> None:
        self._spec = spec
        self._language = language
        self._sandbox = TemplateSandbox(language)
        self._expressions = Expressions()
        self._targets = Targets()
        self._allowed = {variable.name for variable in spec.variables}
        if spec.kind == "marketing":
            self._allowed.add(UNSUBSCRIBE)
        self._names: set[str] = set()
        self._samples = {v.name: sample(v) for v in spec.variables}

    def program(self, source: Source) -> Program:
        subject = self._guarded("subject", lambda: self._subject(source.subject))
        html, derived = None, None
        if source.html is not None:
            html, derived = self._guarded("html", lambda: self._html(source.html or ""))
        if source.text is not None:
            text = self._guarded("text", lambda: self._text(self._parsed(source.text or "")))
        elif derived is not None:
            text = self._guarded("html", lambda: self._text(derived))
        else:
            raise Refused("text", Faulty("required"))
        return Program(
            self._language,
            subject,
            text,
            html,
            self._targets.all(),
            self._expressions,
            self._sandbox,
            frozenset(self._names),
        )

    def _guarded(self, part: str, work: Callable[[], T]) -> T:
        try:
            return work()
        except Faulty as fault:
            raise Refused(part, fault) from fault

    def _parsed(self, source: str) -> Parsed:
        parsed = parse(source, self._sandbox, self._expressions)
        for name, line in parsed.names.items():
            if name not in self._allowed:
                raise Faulty("undeclared_variable", line, name)
        self._names.update(parsed.names)
        return parsed

    def _subject(self, source: str) -> MarkedPart:
        parsed = self._parsed(source)
        if marks.LEAVE in parsed.text:
            raise Faulty("not_in_templates", None, UNSUBSCRIBE)
        return self._part(parsed)

    def _html(self, source: str) -> tuple[MarkedPart, Parsed]:
        """The part, and the text that can be made of it."""
        parsed = self._parsed(source)
        tracked = html_part.track(parsed.text, self._targets, parsed.lines_of_text())
        plain = html_part.as_text(tracked, self._targets.all())
        if self._needs_footer(parsed):
            tracked = html_part.appended(tracked, html_part.footer(self._language))
        if self._spec.channel == "email":
            tracked = html_part.appended(tracked, html_part.pixel())
        return self._part(parsed.with_text(tracked)), parsed.with_text(plain)

    def _text(self, parsed: Parsed) -> MarkedPart:
        text = track_bare(parsed.text, self._targets, parsed.lines_of_text())
        if self._needs_footer(parsed):
            text = text.rstrip("\n") + html_part.text_footer(self._language)
        return self._part(parsed.with_text(text))

    def _needs_footer(self, parsed: Parsed) -> bool:
        """Whether a marketing part could come out without a way to unsubscribe."""
        if self._spec.kind != "marketing":
            return False
        return not any(marks.LEAVE in parsed.runs[number] for number in parsed.outermost)

    def _part(self, parsed: Parsed) -> MarkedPart:
        if self._expressions.found:
            self._try(values_template(self._sandbox, self._expressions.found))
        if len(parsed.runs) == 1:
            if not parsed.text.strip():
                raise Faulty("required")
            return MarkedPart(parsed.text, None)
        part = MarkedPart(None, self._sandbox.made(parsed.tree()))
        self._try(part.template)
        for test in parsed.tests:
            shown = nodes.CondExpr(test, nodes.Const("1"), nodes.Const("0"))
            self._try(values_template(self._sandbox, [shown]))
        return part

    def _try(self, template: Template | None) -> None:
        assert template is not None
        try:
            rendered(template, self._samples, lambda: 0.0)
        except RenderFailed as error:
            raise Faulty("template_syntax", None, str(error)) from error


def sample(variable: Variable) -> Value:
    """A value of the variable's type, to try a template with."""
    default = typed(variable.type, variable.default)
    return _SAMPLES[variable.type] if default is None else default


def values_template(sandbox: TemplateSandbox, wanted: list[nodes.Expr]) -> Template:
    """A template that writes expressions one after the other, to be split by `split_values`."""
    parts: list[nodes.Expr] = []
    for node in wanted:
        parts += [node, nodes.TemplateData(_SEPARATOR)]
    return sandbox.made(nodes.Template([nodes.Output(parts, lineno=1)], lineno=1))


def split_values(text: str) -> list[str]:
    """What `values_template` wrote."""
    return text.split(_SEPARATOR)[:-1]


def one_line(text: str) -> str:
    """A marked subject on one line."""
    return _BLANKS.sub(" ", text).strip()


def text_of(part: MarkedPart, values: Mapping[str, Value], now: Callable[[], float]) -> str:
    """The marked text of a part for one person. Raises `RenderFailed`."""
    if part.fixed is not None:
        return part.fixed
    assert part.template is not None
    return rendered(part.template, values, now)
