"""The content types of the port."""

import pytest

from services.push.channels.base import Content, Slot, render


class TestRender:
    def test_values_are_escaped_as_their_slots_say(self) -> None:
        segments = ("a ", Slot("x", "html"), " b ", Slot("x", "text"))
        assert render(segments, {"x": "<&>"}) == "a &lt;&amp;&gt; b <&>"

    def test_a_missing_value_is_named(self) -> None:
        with pytest.raises(KeyError, match="var:name"):
            render((Slot("var:name", "text"),), {})


def test_contents_of_equal_parts_are_equal_and_hashable() -> None:
    one, two = (Content(("s",), ("t",), ("h",), "en", "v") for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
