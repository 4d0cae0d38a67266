"""Schemathesis over every OpenAPI document, against a running system: what the documents say is true.

Seeded and bounded, so that it comes out the same every time; more examples find more:
`schemathesis run http://localhost:8000/docs/capture/openapi.json -H 'Authorization: Bearer …'`.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests.components.waiting import PATIENCE
from tests.e2e.systems import SERVICES, Embedded

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "missing_required_header",
    "ignored_auth",
    "unsupported_method",
)
EXAMPLES = 12


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A system whose mail stays in its mailbox."""
    system = Embedded(tmp_path_factory.mktemp("api"))
    system.start()
    try:
        yield system
    finally:
        system.kill()


def document(live: Embedded, service: str) -> dict[str, object]:
    """The OpenAPI document of a service."""
    answer = httpx.get(f"{live.url}/docs/{service}/openapi.json", trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_answers_as_documented(
    live: Embedded, service: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"{live.url}/docs/{service}/openapi.json",
            *("--header", f"Authorization: Bearer {live.admin_key}"),
            *("--checks", ",".join(CHECKS)),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES)),
            *("--seed", "20260301"),
            *("--request-timeout", "10"),
            *("--suppress-health-check", "all"),
            *("--warnings", "off"),
            "--no-color",
        ],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr
    assert "unexpected error" not in live.logs()


def test_operations_are_named_once_and_say_what_they_do(live: Embedded) -> None:
    seen: set[str] = set()
    for service in SERVICES:
        paths = document(live, service)["paths"]
        assert paths, f"{service} documents nothing"
        assert isinstance(paths, dict)
        for path, operations in paths.items():
            assert not path.startswith("/internal"), path
            for method, operation in operations.items():
                where = f"{method} {path}"
                assert operation.get("operationId"), where
                assert operation["operationId"] not in seen, operation["operationId"]
                seen.add(operation["operationId"])
                assert operation.get("summary"), where
                assert operation.get("responses"), where


def test_every_documented_path_is_reached_through_the_front(live: Embedded) -> None:
    """A path that the proxy does not know would be documented and answer 404 to everybody."""
    for service in SERVICES:
        paths = document(live, service)["paths"]
        assert isinstance(paths, dict)
        for path in paths:
            url = live.url + re.sub(r"{\w+}", str(UUID(int=7)), path)
            answer = httpx.request("TRACE", url, trust_env=False, timeout=PATIENCE)
            problem = json.loads(answer.text or "{}")
            assert answer.status_code == 405, f"{path}: {answer.status_code} {problem}"


@pytest.mark.parametrize(
    "path", ["/", "/login", "/people", "/campaigns", "/mailbox", "/b/welcome", "/docs/push"]
)
def test_pages_answer_head_like_get(live: Embedded, path: str) -> None:
    headers = {"authorization": f"Bearer {live.admin_key}", "accept": "text/html"}
    got, head = (
        httpx.request(method, live.url + path, headers=headers, trust_env=False, timeout=PATIENCE)
        for method in ("GET", "HEAD")
    )
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert (got.status_code, head.headers["content-type"]) == (200, got.headers["content-type"])


def test_another_method_of_a_path_is_named_with_what_is_allowed(live: Embedded) -> None:
    answer = httpx.get(
        f"{live.url}/v1/profiles/lookup",
        headers={"authorization": f"Bearer {live.admin_key}"},
        trust_env=False,
    )
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("metrics", "/c/{token}"),
        ("metrics", "/o/{token}"),
        ("metrics", "/u/{token}"),
        ("capture", "/b/{slug}"),
        ("capture", "/f/{slug}"),
        ("capture", "/r/{token}"),
        ("capture", "/embed.js"),
        ("capture", "/v1/baits/{slug}/leads"),
    ],
)
def test_public_routes_are_documented(live: Embedded, service: str, path: str) -> None:
    paths = document(live, service)["paths"]
    assert isinstance(paths, dict)
    assert path in paths
