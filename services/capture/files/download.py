"""A stored file as an answer that a browser only ever saves."""

from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from services.capture.files.names import disposition


def download(pieces: AsyncIterator[bytes], name: str, media_type: str, size: int) -> Response:
    """The file, never drawn and never run in our name, whatever it is."""
    return StreamingResponse(
        pieces,
        media_type=media_type,
        headers={
            "content-length": str(size),
            "content-disposition": disposition(name),
            "content-security-policy": "sandbox; default-src 'none'",
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
        },
    )
