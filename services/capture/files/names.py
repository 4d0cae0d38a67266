"""Names of files: what an upload may be called, and how a download says it."""

import posixpath
import re
import unicodedata
from urllib.parse import quote

_LONGEST = 120
_NOT_IN_NAMES = re.compile(
    '[\x00-\x1f\x7f-\x9f"*/:<>?\\\\|\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]'
)
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,59}/[a-z0-9][a-z0-9.+-]{0,79}\Z")
# what a browser might run or draw in our name; it is a download all the same
_ACTIVE = re.compile(r"html|xml|svg|script|flash|multipart|message", re.IGNORECASE)


def harmless_name(name: str) -> str:
    """A file name without folders, hidden characters and device names; `download` when nothing is left."""
    text = unicodedata.normalize("NFC", name.encode("utf-8", "ignore").decode())
    text = posixpath.basename(text.replace("\\", "/"))
    text = _NOT_IN_NAMES.sub("", text).strip(" .")
    stem, extension = posixpath.splitext(text)
    extension = extension[:16]
    text = stem[: _LONGEST - len(extension)].rstrip(" .") + extension
    if not text or _DEVICES.match(text):
        text = f"download-{text}" if text else "download"
    return text


def harmless_media_type(given: str) -> str:
    """The media type of an upload; bytes in general for what could act in a browser."""
    kind = given.partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.match(kind) or _ACTIVE.search(kind):
        return "application/octet-stream"
    return kind


def disposition(name: str) -> str:
    """`Content-Disposition` for a download (RFC 6266, section 4; the starred form by RFC 5987)."""
    stem, extension = (_ascii(part) for part in posixpath.splitext(name))
    plain = f"{stem.strip(' .') or 'download'}{extension.rstrip(' .')}"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9 ._()\[\]-]", "_", plain)
