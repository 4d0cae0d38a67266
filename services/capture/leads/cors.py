"""Which sites may post a bait's form, and what a browser is told about it (Fetch, section 3.3)."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from services.capture.baits.live import LiveBait
from services.shared.errors import Forbidden

ANY: Mapping[str, str] = {"access-control-allow-origin": "*"}
PREFLIGHT: Mapping[str, str] = {
    "access-control-allow-methods": "POST, OPTIONS",
    "access-control-allow-headers": "content-type, idempotency-key, accept-language",
    "access-control-max-age": "7200",
}
_EXPOSED = {"access-control-expose-headers": "retry-after, x-request-id"}


class ForeignOrigin(Forbidden):
    """The bait lists the sites that may post its form, and this is none of them."""

    code = "foreign-origin"
    titles = ("此网站不能提交这个表单", "This site may not post this form")


class Origins:
    """Judges origins. Our own pages may always post."""

    def __init__(self, public_url: str) -> None:
        self._own = origin_of(public_url)

    def allowed(self, bait: LiveBait, origin: str | None, *, null: bool) -> bool:
        """Whether a request of that Origin is taken; `null`: whether an opaque one is."""
        listed = bait.document.origins
        if not listed or origin is None:
            return True
        if origin == "null":
            return null
        return origin.lower() in listed or origin.lower() == self._own

    def require(self, bait: LiveBait, origin: str | None, *, null: bool) -> None:
        """Raises `ForeignOrigin`."""
        if not self.allowed(bait, origin, null=null):
            raise ForeignOrigin

    def headers(self, bait: LiveBait, origin: str | None) -> Mapping[str, str]:
        """What lets the script of an allowed site read the answer."""
        if not bait.document.origins:
            return {**ANY, **_EXPOSED}
        if origin is not None and self.allowed(bait, origin, null=False):
            return {"access-control-allow-origin": origin, "vary": "Origin", **_EXPOSED}
        return {"vary": "Origin"}

    def raw_headers(self, bait: LiveBait, origin: str | None) -> tuple[tuple[bytes, bytes], ...]:
        """The same as ASGI has them."""
        if not bait.document.origins:
            return _ANY_RAW
        return _raw(self.headers(bait, origin))

    def may_go_to(self, bait: LiveBait, address: str) -> bool:
        """Whether a form may send its visitor on to an address: its site is one that the bait lists."""
        plain = address.isascii() and address.isprintable() and not set(address) & set(' \\"<>')
        if len(address) > 2000 or not plain:
            return False
        return origin_of(address) in bait.document.origins


def _raw(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode()) for name, value in headers.items())


_ANY_RAW = _raw({**ANY, **_EXPOSED})


def origin_of(address: str) -> str | None:
    """The origin (RFC 6454) of an http address; None of anything else, also with credentials in it."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return None
    if port is None or port == {"http": 80, "https": 443}[scheme]:
        return f"{scheme}://{host}" if ":" not in host else f"{scheme}://[{host}]"
    return f"{scheme}://{host}:{port}" if ":" not in host else f"{scheme}://[{host}]:{port}"
