"""If-Match: which version an edit means."""

import httpx
import pytest
from fastapi import FastAPI

from services.shared.errors import PreconditionFailed
from services.shared.web.problems import handle_problems
from services.shared.web.versions import ExpectedVersion, check_version, etag

APP = FastAPI()
handle_problems(APP)


@APP.put("/thing")
async def edit(expected: ExpectedVersion) -> dict[str, int | None]:
    return {"expected": expected}


@pytest.mark.parametrize(
    ("given", "status", "expected"),
    [
        (etag(7), 200, 7),
        ('W/"7"', 200, 7),
        (" 7 ", 200, 7),
        ("*", 200, None),
        (None, 428, None),
        ('"seven"', 412, None),
        ('"١"', 412, None),
        ('"1234567890"', 412, None),
    ],
)
async def test_the_header_names_a_version(
    given: str | None, status: int, expected: int | None
) -> None:
    headers = {} if given is None else {b"if-match": given.encode()}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=APP), base_url="http://test"
    ) as client:
        answer = await client.put("/thing", headers=headers)
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"expected": expected}


def test_somebody_else_was_faster() -> None:
    check_version(None, 3)
    check_version(3, 3)
    with pytest.raises(PreconditionFailed):
        check_version(2, 3)
