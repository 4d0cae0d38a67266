"""A template comes out as it was written, with values in their places and links made trackable."""

import html as html_library
import re
from html.parser import HTMLParser

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.push.channels.base import Slot, render
from services.push.deliveries.material import ContentMissing
from services.push.templates.compiling import Refused
from services.push.templates.variables import Variable, fit
from tests.push.templates.sources import ANN, compile_, message, spec, spec_of, written

PLAIN = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="{}<>&#%"), max_size=40
).filter(lambda text: "http" not in text.lower() and fit(text) == text)
VALUES = st.text(max_size=60)


class TestText:
    @given(st.lists(st.one_of(PLAIN, st.just("{{ name }}"), st.just("{{ points }}")), max_size=12))
    def test_is_its_literals_with_the_values_between(self, pieces: list[str]) -> None:
        source = "x" + "".join(pieces)
        wanted = source.replace("{{ name }}", "Ann").replace("{{ points }}", "12")
        assert message(spec(text=source))["text"] == wanted

    @given(VALUES)
    def test_a_value_stands_there_as_it_is(self, value: str) -> None:
        piece = compile_(spec(text="<{{ name|default('–') }}>")).for_person({}, {"name": value})
        wanted = fit(value).strip() or "–"
        assert written(piece)["text"] == f"<{wanted}>"

    @given(st.booleans(), st.booleans(), VALUES)
    def test_branches_are_chosen_by_the_person(self, vip: bool, named: bool, value: str) -> None:
        source = (
            "{% if vip %}A{% if name is defined %}[{{ name }}]{% else %}-{% endif %}"
            "{% elif points > 10 %}B{% else %}C{% endif %}."
        )
        fields = {"vip": vip, "points": len(value)} | ({"name": value} if named else {})
        shown = fit(value).strip() if named else ""
        wanted = (f"A[{shown}]" if shown else "A-") if vip else "B" if len(value) > 10 else "C"
        assert message(spec(text=source), fields)["text"] == f"{wanted}."

    def test_filters(self) -> None:
        source = (
            "{{ name|upper }} {{ name|lower }} {{ name|truncate(2) }} {{ born|date }} "
            "{{ born|date('%d.%m.%Y') }} {{ name|default('x')|trim }} {{ vip }} {{ points }}"
        )
        assert (
            message(spec(text=source))["text"] == "ANN ann An… 2 January 1990 02.01.1990 Ann yes 12"
        )
        chinese = spec(text="{{ born }} {{ born|date }} {{ vip }}", language="zh-CN")
        assert message(chinese)["text"] == "1990年1月2日 1990年1月2日 是"

    def test_choices_in_words(self) -> None:
        source = "{% if name in ['Ann', 'Bo'] and not points < 5 %}yes{% endif %}{{ 'a' if vip else 'b' }}"
        assert message(spec(text=source))["text"] == "yesa"


class TestLinks:
    def test_bare_addresses_in_text_become_links(self) -> None:
        text = "See https://a.example/x?y=1&z=2, (https://b.example/q_(r)) 或者https://c.example/中文。https://a.example/x?y=1&z=2"
        compiled = compile_(spec(text=text))
        assert compiled.targets == (
            "https://a.example/x?y=1&z=2",
            "https://b.example/q_(r)",
            "https://c.example/中文",
        )
        shown = written(compiled.for_person({}, ANN))["text"]
        assert shown == "See <0>, (<1>) 或者<2>。<0>"

    def test_the_same_target_has_one_number_in_both_parts(self) -> None:
        compiled = compile_(
            spec(
                text="b https://b.example/?a=1&b=2 a https://a.example",
                html="<a href=\"https://b.example/?a=1&amp;b=2\">b</a> <a HREF='https://c.example'>c</a>",
            )
        )
        assert compiled.targets == (
            "https://b.example/?a=1&b=2",
            "https://c.example",
            "https://a.example",
        )
        parts = written(compiled.for_person({}, ANN))
        assert parts["text"] == "b <0> a <2>"
        assert parts["html"] is not None
        assert '<a href="&lt;0&gt;">b</a> <a href="&lt;1&gt;">c</a>' in parts["html"]

    def test_others_are_left_alone(self) -> None:
        source = (
            '<a href="mailto:a@b.example">m</a><a href="tel:+86">t</a><a href="#x">x</a>'
            '<img src="https://i.example/a.png" alt=""><a name="x">y</a>'
        )
        compiled = compile_(spec(html=source))
        assert compiled.targets == ()
        assert written(compiled.for_person({}, ANN))["html"].startswith(source)  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("part", "source", "reason"),
        [
            ("html", '<a href="https://a.example/{{ name }}">x</a>', "personal_link"),
            ("html", '<a href="{{ name }}">x</a>', "personal_link"),
            ("html", "<a href='https://{{ name|lower }}.example'>x</a>", "personal_link"),
            ("html", '<img src="https://a.example/{{ name }}.png" alt="">', "personal_link"),
            ("html", '<a href="{{ unsubscribe_url }}?x">x</a>', "personal_link"),
            ("text", "https://a.example/{{ name }}", "personal_link"),
            ("text", "https://a.example/?n={{ name|upper }}&x", "personal_link"),
            ("text", "https://a.example/{% if vip %}vip{% endif %}", "personal_link"),
            ("html", '<a href="/relative">x</a>', "not_url"),
            ("html", '<a href="javascript:alert(1)">x</a>', "not_url"),
            ("html", '<a href="JaVaScript&#58;alert(1)">x</a>', "not_url"),
            ("html", '<a href=" data:text/html,x">x</a>', "not_url"),
            ("html", '<a href="//a.example">x</a>', "not_url"),
            ("html", '<a href="https://">x</a>', "not_url"),
            ("html", '<a href="https://u:p@a.example">x</a>', "not_url"),
            ("html", '<a href="https://a.example/a b">x</a>', "not_url"),
            ("html", '<img src="x.png">', "not_url"),
            ("text", "https://a.example:99999/", "not_url"),
        ],
    )
    def test_refused(self, part: str, source: str, reason: str) -> None:
        with pytest.raises(Refused) as refused:
            compile_(spec_of(part, source, kind="marketing"))
        assert (refused.value.part, refused.value.fault.reason) == (part, reason)


class TestHtml:
    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ("<script>x</script>", "element_not_allowed"),
            ("<p onclick='x'>x</p>", "element_not_allowed"),
            ("<iframe src='https://a.example'></iframe>", "element_not_allowed"),
            ('<meta http-equiv="refresh" content="0">', "element_not_allowed"),
            ("<svg><a></a></svg>", "element_not_allowed"),
            ("<base href='https://a.example'>", "element_not_allowed"),
            ("<p title={{ name }}>x</p>", "variable_in_markup"),
            ("<p {{ name }}>x</p>", "variable_in_markup"),
            ("<{{ name }}>", "broken_html"),
            ("<p {{ name }}='x'>x</p>", "variable_in_markup"),
            ("<p style='color:{{ name }}'>x</p>", "variable_in_markup"),
            ("<style>p{color:{{ name }}}</style>", "variable_in_markup"),
            ("<!-- {{ name }} --><p>x</p>", "variable_in_markup"),
            ("<p {% if vip %}class='a'{% endif %}>x</p>", "branch_in_markup"),
            ("<p title='{% if vip %}a{% endif %}'>x</p>", "branch_in_markup"),
            ("{% if vip %}<p title='{% endif %}{{ name }}'>x</p>", "branch_in_markup"),
            ("<p title='{{ name }}", "broken_html"),
            ("<div><p>x</div></b>", "broken_html"),
            ("<table><tr><td>x</table></div>", "broken_html"),
            ("<a>x", "broken_html"),
            ("<p a=1 a=2>x</p>", "broken_html"),
            ("<!-- x", "broken_html"),
            ("<style>x", "broken_html"),
        ],
    )
    def test_refused(self, source: str, reason: str) -> None:
        with pytest.raises(Refused) as refused:
            compile_(spec(html=source))
        assert (refused.value.part, refused.value.fault.reason) == ("html", reason)

    def test_what_mails_are_made_of_is_fine(self) -> None:
        source = (
            "<!DOCTYPE html><html lang=en><head><title>Hi {{ name }}</title><meta charset=utf-8>"
            "<style>@media (max-width:600px){p{color:red}}</style></head><body>"
            "<!--[if mso]><table><tr><td><![endif]-->"
            "<ul><li>a<li>b</ul><table width='100%'><tr><td>1 < 2 &amp; 3</table><br/>"
            '<img src="cid:x" alt="{{ name }}"><img src="data:image/gif;base64,AA" alt="">'
            "<!--[if mso]></td></tr></table><![endif]--></body></html>"
        )
        shown = message(spec(html=source))["html"]
        assert shown is not None
        assert shown.index('<img src="&lt;open&gt;"') < shown.index("</body>")

    @given(VALUES)
    def test_no_value_becomes_markup(self, value: str) -> None:
        source = '<p title="{{ name }}">{{ name }}</p>'
        wanted = fit(value).strip()
        assume(wanted)
        piece = compile_(spec(html=source)).for_person({}, {"name": value})
        reader = _Reader()
        reader.feed(str(written(piece)["html"]))
        reader.close()
        assert reader.tags == ["p", "img"]
        assert reader.title == html_library.unescape(html_library.escape(wanted))

    def test_a_text_part_is_made_of_it(self) -> None:
        source = (
            "<head><title>t</title><style>x</style></head><h1>Hi {{ name }}</h1>\n"
            "<p>One &amp; <b>two</b>\n three</p>{% if vip %}<p>VIP</p>{% endif %}"
            '<p><a href="https://a.example/x">More</a> <a href="https://b.example">https://b.example</a></p>'
        )
        assert message(spec(text=None, html=source))["text"] == (
            "Hi Ann\n\nOne & two three\n\nVIP\n\nMore (<0>) <1>\n"
        )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.title: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.title = self.title or dict(attrs).get("title")


class TestUnsubscribe:
    @pytest.mark.parametrize(("language", "word"), [("en", "Unsubscribe"), ("zh-CN", "退订")])
    def test_marketing_gets_a_way_out_in_both_parts(self, language: str, word: str) -> None:
        template = spec(html="<body><p>x</p></body>", kind="marketing", language=language)
        parts = message(template)
        assert re.search(
            f'<a href="&lt;leave&gt;"[^>]*>{word}</a></p><img[^>]*></body>$', str(parts["html"])
        )
        assert "<leave>" in str(parts["text"])

    def test_its_own_place_is_enough(self) -> None:
        template = spec(
            text="Bye: {{ unsubscribe_url }}",
            html='<p><a href="{{ unsubscribe_url }}">bye</a></p>',
            kind="marketing",
        )
        parts = message(template)
        assert parts["text"] == "Bye: <leave>"
        assert str(parts["html"]).count("&lt;leave&gt;") == 1

    def test_a_place_that_not_everybody_gets_is_not(self) -> None:
        template = spec(text="{% if vip %}{{ unsubscribe_url }}{% endif %}x", kind="marketing")
        assert str(message(template, {})["text"]).count("<leave>") == 1

    def test_transactional_messages_have_none(self) -> None:
        assert "leave" not in str(message(spec(html="<p>x</p>")))
        with pytest.raises(Refused) as refused:
            compile_(spec(text="{{ unsubscribe_url }}"))
        assert refused.value.fault.reason == "undeclared_variable"


class TestContent:
    def test_people_with_the_same_branches_share_one_content(self) -> None:
        compiled = compile_(spec(text="{% if vip %}A{% else %}B{% endif %} {{ name }}"))
        one, two, three = (
            compiled.for_person({}, {"name": name, "vip": vip})
            for name, vip in (("Ann", True), ("Bo", True), ("Cy", False))
        )
        assert one.content is two.content
        assert one.content.version != three.content.version

    def test_without_choices_there_is_one_content(self) -> None:
        compiled = compile_(spec(text="{{ name|upper }}"))
        assert (
            compiled.for_person({}, {"name": "a"}).content
            is compiled.for_person({}, {"name": "b"}).content
        )

    def test_slots_escape_as_their_part(self) -> None:
        content = (
            compile_(spec("{{ name }}", "{{ name }}", "<p>{{ name }}</p>"))
            .for_person({}, ANN)
            .content
        )
        escapes = [s.escape for s in (*content.subject, *content.text) if isinstance(s, Slot)]
        assert escapes == ["text", "text"]
        assert {s.escape for s in content.html or () if isinstance(s, Slot)} == {"html"}

    def test_a_missing_value_names_its_variable(self) -> None:
        for text in ("{{ name }}", "{{ name|upper }}", "{% if name == 'x' %}y{% endif %}z"):
            with pytest.raises(ContentMissing) as missing:
                compile_(spec(text=text)).for_person({}, {"vip": True, "birthday": "2000-01-01"})
            assert (missing.value.reason, missing.value.variable) == ("value_missing", "name")

    def test_an_untaken_branch_needs_no_value(self) -> None:
        assert message(spec(text="{% if vip %}{{ name|upper }}{% endif %}x"), {})["text"] == "x"

    def test_given_values_go_before_the_persons(self) -> None:
        piece = compile_(spec(text="{{ name }} {{ vip }}")).for_person(
            {"name": "Bo", "vip": "true"}, {"name": "Ann", "vip": False}
        )
        assert written(piece)["text"] == "Bo yes"

    def test_values_of_another_type_count_as_missing(self) -> None:
        defaults = (Variable("points", "number", 7, "points"),)
        for wrong in ("many", True, [1], {"a": 1}, float("nan"), 1e300):
            assert (
                message(spec(text="{{ points }}", variables=defaults), {"points": wrong})["text"]
                == "7"
            )

    def test_a_subject_is_one_line(self) -> None:
        assert message(spec("  Hi\n {{ name }}\t! "))["subject"] == "Hi Ann !"

    def test_faults_name_their_line(self) -> None:
        with pytest.raises(Refused) as refused:
            compile_(spec(html="<p>\n</p>\n<p>\n{{ nam }}</p>"))
        assert refused.value.fault.detail == "(line 4: nam)"
        with pytest.raises(Refused) as refused:
            compile_(spec(html="<p>\n{{ name }}</p>\n\n<p><script></p>"))
        assert refused.value.fault.detail == "(line 4: <script>)"
        with pytest.raises(Refused) as refused:
            compile_(spec(text="a\nb {{ name\n c"))
        assert refused.value.fault.reason == "template_syntax"
        assert "line" in str(refused.value.fault.detail)

    def test_rendering_needs_every_value(self) -> None:
        content = compile_(spec(text="{{ name }}")).for_person({}, ANN).content
        with pytest.raises(KeyError):
            render(content.text, {})
