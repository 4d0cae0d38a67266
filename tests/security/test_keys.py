"""S13: keys that are revoked, of another scope or of another service, and a Host header that lies."""

import httpx
import pytest

from tests.components.waiting import wait_until
from tests.e2e.systems import Embedded, command
from tests.security.hostile import checked

NOBODY = "01890000-0000-7000-8000-000000000000"

OPERATIONS = [
    ("GET", "/v1/baits", "read"),
    ("POST", "/v1/baits", "admin"),
    ("POST", "/v1/profiles/lookup", "read"),
    ("GET", f"/v1/profiles/{NOBODY}", "read"),
    ("POST", "/v1/segments", "admin"),
    ("GET", "/v1/campaigns", "read"),
    ("POST", f"/v1/campaigns/{NOBODY}/start", "admin"),
    ("GET", f"/v1/deliveries/{NOBODY}", "read"),
    ("GET", "/v1/funnel", "read"),
    ("POST", "/v1/engagements", "report"),
    ("GET", "/mailbox/messages", "read"),
]


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_without_a_key_and_with_a_wrong_one_nothing_is_told(
    live: Embedded, public: httpx.Client, method: str, path: str, scope: str
) -> None:
    texts = set()
    for headers in (
        {},
        {"authorization": "Bearer bw_wrong"},
        {"authorization": "Bearer"},
        {"authorization": "Basic YTpi"},
        {"cookie": "baitwell_session=bws_wrong", "origin": live.url},
    ):
        answer = public.request(method, path, headers=headers)
        assert answer.status_code == 401, (headers, answer.text)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        document = answer.json()
        document.pop("instance", None)
        texts.add(str(document))
    assert len(texts) == 1


@pytest.mark.parametrize("scope", ["read", "leads", "report"])
def test_a_key_of_another_scope_is_refused(
    live: Embedded, public: httpx.Client, scope: str
) -> None:
    headers = {"authorization": f"Bearer {live.new_key(f'only {scope}', scope)}"}
    for method, path, needed in OPERATIONS:
        answer = public.request(method, path, headers=headers)
        if needed == scope:
            assert answer.status_code not in (401, 403), (path, answer.text)
        else:
            assert answer.status_code == 403, (path, answer.text)


def test_a_revoked_key_is_refused_within_seconds(live: Embedded, public: httpx.Client) -> None:
    key = live.new_key("for a day", "read")
    headers = {"authorization": f"Bearer {key}"}
    checked(public.get("/v1/baits", headers=headers))
    listed = command("keys", "list", env=live.settings).stdout
    assert key not in listed
    [line] = [line for line in listed.splitlines() if line.endswith("for a day")]
    assert command("keys", "revoke", line.split()[0], env=live.settings).returncode == 0
    wait_until(
        lambda: public.get("/v1/baits", headers=headers).status_code == 401, "the key ends", 15
    )


def test_the_services_own_key_opens_nothing_from_outside(
    live: Embedded, public: httpx.Client
) -> None:
    """`/internal` is not on the public port, and the key of internal calls is good for nothing else."""
    kept = (live.data / "secrets.json").read_text()
    key = kept.split('"internal_key"')[1].split('"')[1]
    for headers in ({"authorization": f"Bearer {key}"}, live.admin, {}):
        for path in (
            "/internal/freshness",
            "/internal/gauges",
            "/internal/unsubscribe",
            f"/internal/segments/{NOBODY}/members",
            "/INTERNAL/freshness",
            "//internal/freshness",
            "/v1/../internal/freshness",
            "/b/..%2finternal/freshness",
        ):
            for method in ("GET", "POST"):
                answer = public.request(method, path, headers=headers)
                assert answer.status_code in (404, 405), (path, answer.text)
    outside = {"authorization": f"Bearer {key}"}
    for method, path, _ in OPERATIONS:
        assert public.request(method, path, headers=outside).status_code in (401, 403), path


def test_secrets_are_for_their_owner_only(live: Embedded) -> None:
    assert (live.data / "secrets.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"},
        {"forwarded": "host=evil.example;proto=https"},
        {"host": "evil.example:80", "x-original-host": "evil.example"},
    ],
)
def test_a_host_header_changes_no_link(
    live: Embedded, admin: httpx.Client, public: httpx.Client, headers: dict[str, str]
) -> None:
    """Every link is made of PUBLIC_URL."""
    email = f"host{abs(hash(str(headers)))}@people.example"
    page = public.get("/b/welcome", headers=headers)
    assert page.status_code == 200
    assert "evil.example" not in page.text
    form = {"email": email}
    thanks = public.post("/b/welcome", data=form, headers=headers)
    assert thanks.status_code == 303
    assert "evil.example" not in thanks.headers["location"]

    def mail() -> str | None:
        items = checked(admin.get("/mailbox/messages", params={"limit": 100}))["items"]
        return next((item["id"] for item in items if item["recipient"] == email), None)

    found = wait_until(mail, "the bait mail")
    message = checked(admin.get(f"/mailbox/messages/{found}"))
    assert f"{live.url}/r/" in message["text"]
    assert "evil.example" not in str(message)
    assert "evil.example" not in public.get("/b/welcome/qr.svg", headers=headers).text


def test_a_form_of_another_site_can_not_use_an_operators_session(
    live: Embedded, public: httpx.Client
) -> None:
    logged_in = public.post("/login", data={"key": live.admin_key}, headers={"origin": live.url})
    assert logged_in.status_code == 303, logged_in.text
    cookie = logged_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower() or "samesite=strict" in cookie.lower()
    session = {"cookie": cookie.split(";")[0]}
    assert public.get("/v1/baits", headers=session).status_code == 200
    for foreign in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "origin": live.url},
        {"sec-fetch-site": "same-site", "origin": live.url},
        {},
    ):
        answer = public.post("/v1/segments", json={}, headers={**session, **foreign})
        assert answer.status_code == 403, (foreign, answer.text)
    ours = public.post("/v1/segments", json={}, headers={**session, "origin": live.url})
    assert ours.status_code == 422
