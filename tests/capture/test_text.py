"""No text may hide, reorder or break out."""

import pytest

from services.capture.text import BadText, plain


class TestPlain:
    @pytest.mark.parametrize(
        "text", ["Li Na", "李娜", "Zoë ☕ 👩‍💻", "𠮷野家", "a=?b", "O'Brien & Söhne"]
    )
    def test_what_people_write_is_kept(self, text: str) -> None:
        assert plain(text, 50) == text

    def test_blanks_around_are_taken_off(self) -> None:
        assert plain("\u3000 Li Na\xa0\t", 50) == "Li Na"

    @pytest.mark.parametrize(
        "text",
        [
            "a\x00b",
            "a\x1bb",
            "a\x7fb",
            "a\x85b",
            "a\tb",
            "a\nb",
            "a\rb",
            "exe.\u202egpj",
            "a\u2066b",
            "a\u200fb",
            "a\u061cb",
            "a\ud800b",
            "a\u2028b",
            "a\ufeffb",
            "=?utf-8?q?hi=0ABcc:_evil@example.com?=",
            "=?GB2312?B?xOO6ww==?=",
        ],
    )
    def test_what_hides_is_refused(self, text: str) -> None:
        with pytest.raises(BadText) as refused:
            plain(text, 100)
        assert refused.value.reason == "forbidden_characters"

    def test_too_long_is_refused(self) -> None:
        with pytest.raises(BadText) as refused:
            plain("x" * 11, 10)
        assert refused.value.reason == "too_long"

    def test_lines_are_kept_where_they_may_be(self) -> None:
        assert plain("one\r\ntwo\rthree\n", 50, lines=True) == "one\ntwo\nthree"

    def test_one_letter_written_two_ways_is_one(self) -> None:
        assert plain("e\u0301", 5) == "\u00e9"
