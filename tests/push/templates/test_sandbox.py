"""S4: what is known to get out of a Jinja sandbox gets nowhere, and nothing runs for long or grows without end."""

import contextlib
import time
from itertools import count

import pytest
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError

from services.push.deliveries.material import ContentMissing
from services.push.templates.compiling import Refused
from services.push.templates.sandbox import MAX_OUTPUT, RenderFailed, TemplateSandbox, rendered
from services.push.templates.variables import Variable
from tests.push.templates.sources import ANN, compile_, spec, spec_of

ESCAPES = [
    # into the classes of values
    "{{ name.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ name['__class__'] }}",
    "{{ name|attr('__class__') }}",
    "{{ name|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ ()|attr('__class__')|attr('__base__')|attr('__subclasses__')() }}",
    "{{ [].append.__self__ }}",
    "{{ {}.keys }}",
    # through functions that a template usually has
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ range.__class__ }}",
    "{{ config }}",
    "{{ request }}",
    "{{ url_for.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ dict(a=1) }}",
    "{{ caller() }}",
    "{{ varargs }}",
    # CVE-2016-10745, CVE-2019-10906: str.format and format_map
    "{{ '{0.__class__}'.format(name) }}",
    "{{ '{x.__class__}'.format_map({'x': name}) }}",
    # CVE-2024-56326: format by another way to call it
    "{{ ('{0.__class__}'|attr('format'))(name) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(name) }}",
    "{{ ['{0.__class__}']|map('format', name)|list }}",
    # CVE-2025-27516: the attr filter
    "{{ ['x']|map(attribute='__class__')|list }}",
    "{{ name|map('attr', '__class__') }}",
    # CVE-2024-56201, CVE-2024-22195: names and attributes that reach the compiler's output
    "{% include 'a' + name %}",
    "{{ {'a\" onx=1': 1}|xmlattr }}",
    # files and other templates
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'x' import y %}",
    "{% extends name %}",
    # statements that make new things
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% call m() %}{% endcall %}",
    "{% set x = 1 %}",
    "{% set x %}y{% endset %}",
    "{% with x = 1 %}{{ x }}{% endwith %}",
    "{% filter upper %}x{% endfilter %}",
    "{% block b %}{% endblock %}",
    "{% autoescape false %}{{ name }}{% endautoescape %}",
    "{% do name %}",
    "{% debug %}",
    "{{ name|safe }}",
    "{{ name|pprint }}",
    "{{ name|tojson }}",
    "{{ name|format(1) }}",
    "{{ name|replace('a', 'b') }}",
    "{{ name|groupby('x') }}",
    "{{ name is callable }}",
    "{{ name is filter }}",
    "{{ name[0:1] }}",
    "{{ name is defined(1) }}",
]

ENDLESS = [
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{% for a in name %}{% for b in name %}x{% endfor %}{% endfor %}",
    "{% for i in [1, 2, 3] recursive %}{{ loop([1]) }}{% endfor %}",
    "{{ 'x' * 1000000000 }}",
    "{{ 9 ** 9 ** 9 ** 9 }}",
    "{{ 2 ** 1000000 }}",
    "{{ 1 // 0 }}",
    "{{ -name }}",
    "{{ name + name }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ name|center(1000000000) }}",
    "{{ name|indent(1000000000) }}",
    "{{ name|truncate(1000000000) }}",
    "{{ name|truncate('9') }}",
    "{{ lipsum(100000) }}",
    "{{ 1e400 }}",
    "{{ 9999999999999999 }}",
    "{{ " + "9" * 5000 + " }}",
    "{{ " + "(" * 5000 + "name" + ")" * 5000 + " }}",
    "{{ name" + "|upper" * 5000 + " }}",
    "{{ " + " or ".join(["name"] * 5000) + " }}",
    "{{ " + " ~ ".join(["name"] * 5000) + " }}",
    "{{ " + "not " * 5000 + "vip }}",
    "{% if vip %}" * 200 + "{% endif %}" * 200,
    "{% if name in [" + "'a'," * 5000 + "] %}{% endif %}",
    "{{ name }}" * 5000,
    "x" * (200 * 1024 + 1),
]

SLOW = [
    "{" * 200_000,
    "{{" * 100_000,
    "{%" * 100_000,
    "{#" * 100_000,
    "{%-" * 60_000,
    "{% raw %}" * 20_000,
    " " * 199_000 + "{%- if",
    "{{ name " + " " * 199_000 + "}",
    "{{ '" + "\\" * 199_000,
    "{{ " + '"' * 199_000,
    "\n" * 199_000 + "{{",
]

SLOW_HTML = [
    "<" * 200_000,
    "<!--" * 50_000,
    "<!" * 100_000,
    "</" * 100_000,
    "<a " * 60_000,
    "<a" + " " * 199_000,
    "<a b" + " " * 199_000 + "c",
    "<a b=" + " " * 199_000 + ">",
    "<a b='" * 30_000,
    "<style>" * 28_000,
    "<style></style>" * 13_000 + "<style>",
    "<p>" * 66_000,
    "<div>" * 40_000,
    "<b></b>" * 28_000,
    "&" * 200_000,
    "&#" * 100_000,
    "http://" * 28_000,
    "http://a.example " * 11_000,
]


@pytest.mark.parametrize("source", [*ESCAPES, *ENDLESS])
@pytest.mark.parametrize("part", ["subject", "text", "html"])
def test_a_hostile_template_is_refused(source: str, part: str) -> None:
    with pytest.raises(Refused) as refused:
        compile_(spec_of(part, source))
    assert refused.value.part == part
    assert refused.value.fault.reason in {
        "not_in_templates",
        "template_syntax",
        "undeclared_variable",
        "too_complex",
        "too_long",
        "out_of_range",
    }


@pytest.mark.parametrize("source", [*SLOW, *SLOW_HTML], ids=lambda source: repr(source[:12]))
def test_no_text_takes_long_to_be_refused(source: str) -> None:
    began = time.process_time()
    for part in ("text", "html"):
        with contextlib.suppress(Refused):
            compile_(spec_of(part, source))
    # a text that made it quadratic would take minutes
    assert time.process_time() - began < 20


@pytest.mark.parametrize("source", ESCAPES)
def test_the_second_wall_stands_alone(source: str) -> None:
    """Without the list of what may stand in a template, the sandbox itself still gives nothing away."""
    sandbox = TemplateSandbox("en")
    try:
        text = rendered(sandbox.made(sandbox.parse(source)), {"name": "Ann"}, lambda: 0.0)
    except (RenderFailed, SecurityError, TemplateError, TypeError):
        return
    # a statement that only sets or frames text gives back what stood in the template and no more
    assert text in {"", "1", "x", "X", "A", "Ann"}


def test_arithmetic_is_closed_in_the_second_wall_too() -> None:
    sandbox = TemplateSandbox("en")
    for source in ("{{ 9 ** 9 ** 9 }}", "{{ 'x' * 10 ** 10 }}", "{{ -1 }}", "{{ 1 + 1 }}"):
        with pytest.raises(RenderFailed, match="SecurityError"):
            rendered(sandbox.made(sandbox.parse(source)), {}, lambda: 0.0)


def test_output_is_cut_off_by_size() -> None:
    sandbox = TemplateSandbox("en")
    much = nodes.Template(
        [nodes.Output([nodes.TemplateData("x" * 1000)], lineno=1) for _ in range(600)], lineno=1
    )
    with pytest.raises(RenderFailed, match="output"):
        rendered(sandbox.made(much), {}, lambda: 0.0)
    assert MAX_OUTPUT < 600_000


def test_rendering_is_cut_off_by_time() -> None:
    ticks = count()
    template = spec(text="{% if vip %}{{ name }}{% endif %}")
    compiled = compile_(template, now=lambda: float(next(ticks)))
    with pytest.raises(ContentMissing) as missing:
        compiled.for_person({}, ANN)
    assert missing.value.reason == "render_failed"


def test_a_person_cannot_inject_by_a_value() -> None:
    hostile = "{{ 7 * 7 }}{% for x in y %}<script>\ufdd0e0\ufdd1\ufdd2\x00"
    piece = compile_(
        spec(text="{% if vip %}A{% endif %} {{ name|upper }} {{ name }}", html="<p>{{ name }}</p>")
    ).for_person({}, {**ANN, "name": hostile})
    assert piece.values["var:name"] == "{{ 7 * 7 }}{% for x in y %}<script>e0"
    assert sorted(piece.values) == ["var:1", "var:name"] or len(piece.values) == 2


def test_a_value_is_bounded() -> None:
    piece = compile_(spec(text="{{ name }}", variables=(Variable("name", "text", None, "name"),)))
    assert len(piece.for_person({}, {"name": "x" * 10_000}).values["var:name"]) == 2000
