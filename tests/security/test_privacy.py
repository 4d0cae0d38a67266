"""S9 and S11: nothing tells who is known, and personal data stays where it belongs."""

import contextlib
import re
import sqlite3

import httpx

from tests.components.waiting import PATIENCE, wait_until
from tests.e2e.systems import Embedded
from tests.security.hostile import checked

CANARY = "canary-7f3e"
EMAIL = f"{CANARY}@people.example"
PHONE = "138 1234 5678"
PHONE_DIGITS = "13812345678"
NAME = "金丝雀-canary-name"
MAY_CARRY = {"leads", "profiles", "push-requests"}

_CHANGING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|t=[A-Za-z0-9_-]{20,}"
)


def shape(answer: httpx.Response) -> tuple[int, list[str], str]:
    """An answer without what differs between any two: ids, tokens, the time."""
    headers = sorted(
        f"{name}: {_CHANGING.sub('*', value)}"
        for name, value in answer.headers.items()
        if name not in ("date", "x-request-id")
    )
    return answer.status_code, headers, _CHANGING.sub("*", answer.text)


def press(admin: httpx.Client, email: str) -> None:
    """Press the button of the mail that came to an address."""

    def link() -> str:
        for item in checked(admin.get("/mailbox/messages", params={"limit": 100}))["items"]:
            if item["recipient"] == email:
                text: str = checked(admin.get(f"/mailbox/messages/{item['id']}"))["text"]
                links: list[str] = re.findall(r"https?://\S+/r/\S+", text)
                return links[0]
        return ""

    assert admin.post(wait_until(link, "the bait mail")).status_code == 200


def test_a_known_address_gets_the_same_bytes_as_an_unknown_one(
    live: Embedded, public: httpx.Client, admin: httpx.Client
) -> None:
    known = "known00@people.example"
    checked(public.post("/v1/baits/welcome/leads", json={"contact": {"email": known}}))
    press(admin, known)
    for number in range(1, 4):
        unknown = f"other0{number}@people.example"
        answers = []
        for email in (known, unknown):
            script = {"contact": {"email": email}, "way": "script"}
            posted = public.post("/b/welcome", data={"email": email})
            answers.append(
                [
                    shape(public.post("/v1/baits/welcome/leads", json=script)),
                    shape(public.post("/f/welcome", data={"email": email})),
                    shape(posted),
                    shape(public.get(posted.headers["location"])),
                ]
            )
        assert answers[0] == answers[1]


def test_personal_data_is_in_no_log_metric_or_other_topic(
    live: Embedded, public: httpx.Client, admin: httpx.Client
) -> None:
    wrong = {"contact": {"email": f"{CANARY}@@wrong"}, "fields": {"name": NAME, "x": CANARY}}
    assert public.post("/v1/baits/welcome/leads", json=wrong).status_code == 422
    body = {
        "contact": {"email": EMAIL, "phone": PHONE},
        "fields": {"name": NAME},
        "source": {"utm_source": "letter", "landing_page": f"https://x.example/?m={EMAIL}"},
    }
    checked(public.post("/v1/baits/welcome/leads", json=body))
    press(admin, EMAIL)
    for path in (f"/people?q={EMAIL}", f"/nowhere/{EMAIL}", f"/r/{CANARY}", f"/u/{CANARY}"):
        public.get(path)
    contact = {"channel": "email", "address": EMAIL}
    report = {"kind": "inquired", "source": "shop", "contact": contact, "subject": "delivery"}
    checked(admin.post("/v1/engagements", json=report))
    wait_until(
        lambda: (
            admin.post("/v1/profiles/lookup", json=contact).status_code == 200
            and not _waiting(live)
        ),
        "all is handled",
    )
    canaries = (CANARY, PHONE_DIGITS, PHONE, NAME)
    logs, metrics = live.logs(), public.get("/metrics").text
    for canary in canaries:
        assert canary not in logs
        assert canary not in metrics
    carrying = {
        topic for topic, text in _records(live) if any(canary in text for canary in canaries)
    }
    assert "leads" in carrying, "the canary has to be somewhere, else this shows nothing"
    assert carrying <= MAY_CARRY


def _waiting(live: Embedded) -> int:
    metrics = httpx.get(f"{live.url}/metrics", trust_env=False, timeout=PATIENCE).text
    rows = re.findall(r"^baitwell_consumer_lag_records\{[^}]*\} ([0-9.]+)", metrics, re.MULTILINE)
    return int(sum(float(row) for row in rows))


def _records(live: Embedded) -> list[tuple[str, str]]:
    """Every record of the embedded log: its topic, and its key, headers and value as text."""
    found = []
    with contextlib.closing(sqlite3.connect(live.data / "log.sqlite")) as log:
        for number, topic in log.execute("SELECT number, name FROM topics").fetchall():
            for row in log.execute(f"SELECT key, headers, value FROM records_{number}"):
                texts = (
                    value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                    for value in row
                )
                found.append((topic, " ".join(texts)))
    return found
