"""Who answers what: a prefix is a whole segment, and nothing internal is offered."""

import pytest

from services.shared.process.routing import EXACT, INTERNAL, PREFIXES, OneProcess, service_of

SERVICES = {"capture", "profile", "push", "metrics"}


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/", "metrics"),
        ("/login", "metrics"),
        ("/embed.js", "capture"),
        ("/b/welcome", "capture"),
        ("/b", "capture"),
        ("/f/welcome", "capture"),
        ("/r/token", "capture"),
        ("/v1/baits", "capture"),
        ("/v1/baits/x/leads", "capture"),
        ("/v1/profiles/lookup", "profile"),
        ("/people/x", "profile"),
        ("/v1/segments", "profile"),
        ("/campaigns", "push"),
        ("/v1/deliveries/x", "push"),
        ("/mailbox", "push"),
        ("/c/token", "metrics"),
        ("/o/token", "metrics"),
        ("/u/token", "metrics"),
        ("/v1/funnel", "metrics"),
        ("/docs/push/openapi.json", "push"),
    ],
)
def test_a_path_has_its_service(path: str, service: str) -> None:
    assert service_of(path) == service


@pytest.mark.parametrize(
    "path",
    [
        "/openapi.json",
        "/oh",
        "/bait",
        "/b.html",
        "/cc/x",
        "/v1",
        "/v1/",
        "/v1/baitsx",
        "/v1/other/baits",
        "/login/x",
        "/embed.js/x",
        "/docs",
        "/metrics",
        "/health/live",
        "/internal/freshness",
        "/internal",
        "//b/welcome",
        "",
        "/B/welcome",
    ],
)
def test_any_other_path_has_none(path: str) -> None:
    assert service_of(path) is None


def test_the_table_names_services_only_and_nothing_internal() -> None:
    assert set(PREFIXES.values()) | set(EXACT.values()) <= SERVICES
    assert not any(path.startswith(INTERNAL) for path in (*PREFIXES, *EXACT))
    assert all(path.startswith("/") and not path.endswith("/") for path in PREFIXES)


async def test_one_process_asks_the_right_app() -> None:
    asked: list[str] = []

    def app(name: str):
        async def answer(scope, receive, send):
            asked.append(f"{name} {scope.get('path', scope['type'])}")

        return answer

    front = OneProcess({name: app(name) for name in SERVICES}, app("own"))
    for scope in (
        {"type": "lifespan"},
        {"type": "http", "path": "/b/x"},
        {"type": "http", "path": "/internal/x"},
        {"type": "http", "path": "/health/live"},
    ):
        await front(scope, None, None)  # type: ignore[arg-type]
    assert asked == ["own lifespan", "capture /b/x", "own /internal/x", "own /health/live"]
