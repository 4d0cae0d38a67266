"""One file out of a multipart body (RFC 7578), read as it comes."""

from collections.abc import AsyncIterable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.capture.files.service import Upload
from services.shared.errors import FieldError, Invalid, Malformed, UnsupportedMedia

FILE_FIELD = "file"


def boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart/form-data body. Raises `UnsupportedMedia` or `Malformed`."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise UnsupportedMedia(("请使用 multipart/form-data。", "Send multipart/form-data."))
    boundary = options.get(b"boundary")
    if not boundary or len(boundary) > 200:
        raise Malformed(("缺少 boundary。", "The boundary is missing."))
    return boundary


class FilePart:
    """Takes the first part called `file` of a body into an upload; other parts are ignored."""

    def __init__(self, content_type: str, into: Upload) -> None:
        self.name: str | None = None
        self.media_type = ""
        self._into = into
        self._taking = False
        self._ended = False
        self._header: list[bytes] = [b"", b""]
        self._headers: dict[bytes, bytes] = {}
        self._parser = MultipartParser(
            boundary_of(content_type),
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_header_field": lambda d, a, b: self._grow(0, d[a:b]),
                "on_header_value": lambda d, a, b: self._grow(1, d[a:b]),
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_end": self._finish,
            },
        )

    async def read(self, body: AsyncIterable[bytes]) -> None:
        """Read a body to its end. Raises `Malformed`, `Invalid` when there is no file, `TooLarge`."""
        try:
            async for data in body:
                if data:
                    self._parser.write(data)
            self._parser.finalize()
        except FormParserError as error:
            raise Malformed(("无法读取表单。", "The form could not be read.")) from error
        if not self._ended:
            raise Malformed(("表单不完整。", "The form ended too early."))
        if self.name is None or self._into.size == 0:
            raise Invalid(fields=(FieldError(FILE_FIELD, "required"),))

    def _begin(self) -> None:
        self._headers = {}
        self._header = [b"", b""]

    def _grow(self, index: int, data: bytes) -> None:
        self._header[index] += data

    def _header_end(self) -> None:
        self._headers[self._header[0].lower()] = self._header[1]
        self._header = [b"", b""]

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        named = options.get(b"name") == FILE_FIELD.encode()
        if self.name is None and named and b"filename" in options:
            self._taking = True
            self.name = _decoded(options[b"filename"])
            self.media_type = self._headers.get(b"content-type", b"").decode("latin-1")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._taking:
            self._into.write(data[start:end])

    def _end(self) -> None:
        self._taking = False

    def _finish(self) -> None:
        self._ended = True


def _decoded(name: bytes) -> str:
    """A file's name as browsers send it: UTF-8, or what an old Chinese one calls GBK."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("gb18030", "replace")
