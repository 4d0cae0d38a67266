"""Which of the two languages a visitor reads."""

from starlette.requests import HTTPConnection

from services.shared.reasons import Language


def language_of(request: HTTPConnection) -> Language:
    """The visitor's language: `?lang=`, else the first of Accept-Language that we have, else zh-CN."""
    asked = request.query_params.get("lang", "").lower()
    if asked.startswith("en"):
        return "en"
    if asked.startswith("zh"):
        return "zh-CN"
    return from_header(request.headers.get("accept-language", ""))


def from_header(header: str) -> Language:
    """Read an Accept-Language header (RFC 9110, section 12.5.4)."""
    best: tuple[float, Language] = (0.0, "zh-CN")
    for part in header.lower().split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        language: Language | None = (
            "en" if tag.startswith("en") else "zh-CN" if tag.startswith("zh") else None
        )
        if language and quality > best[0]:
            best = (quality, language)
    return best[1]
