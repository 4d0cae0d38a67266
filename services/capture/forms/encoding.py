"""Bodies of plain HTML forms: urlencoded or multipart, in UTF-8 or in GB18030.

A page in GBK posts GBK. The rule: what `_charset_` or the content type says, if we know it; else strict
UTF-8; else GB18030, for the whole form. A body that is none of these is refused.
"""

from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.shared.errors import FieldError, Invalid, Malformed, UnsupportedMedia

MOST_FIELDS = 100

_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
    "cp936": "gb18030",
    "big5": "big5hkscs",
}
_CHARSET_FIELD = "_charset_"

RawPairs = list[tuple[bytes, bytes]]
Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class DecodedForm:
    """Names and values in their order. `files`: how many file parts were left out."""

    pairs: Pairs
    charset: str
    files: int = 0


def read_form(content_type: str, body: bytes) -> DecodedForm:
    """Read a form's body. Raises `UnsupportedMedia`, `Malformed`, or `Invalid` for too many fields."""
    kind, options = parse_options_header(content_type)
    files = 0
    if kind == b"application/x-www-form-urlencoded":
        raw = _urlencoded(body)
    elif kind == b"multipart/form-data":
        raw, files = _multipart(options.get(b"boundary", b""), body)
    else:
        raise UnsupportedMedia(
            (
                "请使用 application/x-www-form-urlencoded 或 multipart/form-data。",
                "Send application/x-www-form-urlencoded or multipart/form-data.",
            )
        )
    said = next((value for name, value in raw if name == _CHARSET_FIELD.encode()), b"")
    said = said or options.get(b"charset", b"")
    charset = _CHARSETS.get(said.decode("ascii", "ignore").strip().lower())
    pairs, used = _decode(raw, charset)
    return DecodedForm([pair for pair in pairs if pair[0] != _CHARSET_FIELD], used, files)


def _decode(raw: RawPairs, charset: str | None) -> tuple[Pairs, str]:
    for candidate in (charset,) if charset else ("utf-8", "gb18030"):
        try:
            return [(n.decode(candidate), v.decode(candidate)) for n, v in raw], candidate
        except UnicodeDecodeError:
            continue
    raise Invalid(fields=(FieldError("body", "forbidden_characters"),))


def _too_many() -> Invalid:
    return Invalid(fields=(FieldError("body", "too_many_fields"),))


def _urlencoded(body: bytes) -> RawPairs:
    if body.count(b"&") >= MOST_FIELDS:
        raise _too_many()
    raw: RawPairs = []
    for part in body.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            raw.append(
                (
                    unquote_to_bytes(name.replace(b"+", b" ")),
                    unquote_to_bytes(value.replace(b"+", b" ")),
                )
            )
    return raw


class _Parts:
    """Collects the parts of a multipart body that is in memory."""

    def __init__(self) -> None:
        self.raw: RawPairs = []
        self.files = 0
        self.ended = False
        self._field = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._data: list[bytes] = []

    def begin(self) -> None:
        if len(self.raw) + self.files >= MOST_FIELDS:
            raise _too_many()
        self._headers, self._data = {}, []
        self._field = self._value = b""

    def field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"filename" in options:
            self.files += 1
        elif b"name" in options:
            self.raw.append((options[b"name"], b"".join(self._data)))

    def finish(self) -> None:
        self.ended = True


def _multipart(boundary: bytes, body: bytes) -> tuple[RawPairs, int]:
    parts = _Parts()
    if not 0 < len(boundary) <= 200:
        raise Malformed(("缺少 boundary。", "The boundary is missing."))
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_part_data": parts.data,
                "on_part_end": parts.end,
                "on_header_field": parts.field,
                "on_header_value": parts.value,
                "on_header_end": parts.header_end,
                "on_end": parts.finish,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Malformed(("无法读取表单。", "The form could not be read.")) from error
    if not parts.ended:
        raise Malformed(("表单不完整。", "The form ended too early."))
    return parts.raw, parts.files
