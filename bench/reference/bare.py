"""The reference "bare": one FastAPI endpoint with the same body as a submission, storing nothing.

`python -m bench.reference.bare PORT`
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict


class Source(BaseModel):
    """Where a lead came from."""

    model_config = ConfigDict(extra="forbid")

    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    referrer: str | None = None
    landing_page: str | None = None


class Submission(BaseModel):
    """A lead as it is posted."""

    model_config = ConfigDict(extra="forbid")

    contact: dict[str, str]
    fields: dict[str, Any] = {}
    consents: dict[str, bool] = {}
    source: Source | None = None
    language: str | None = None
    form_version: int | None = None


app = FastAPI()


@app.post("/v1/baits/{slug}/leads", status_code=202)
async def submit(slug: str, submission: Submission) -> dict[str, str]:
    """Accept and forget."""
    return {"lead_id": slug, "state": submission.language or "accepted"}


def main() -> None:
    """Serve on a port of the loopback interface."""
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
