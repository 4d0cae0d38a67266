"""The local mailbox shows a message as the person would see it, and lets nothing in it act."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.push.mailbox.repository import SqlMailbox
from services.shared.ids import derived
from tests.ground import System, embedded_system

HTML = "<p>你好 <script>alert(1)</script><img src=https://spy.example/x></p>"


def raw(subject: str) -> bytes:
    head = f"To: Ann@shop.example\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
    parts = (
        'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n你好 <b>\r\n"
        f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{HTML}\r\n--b--\r\n"
    )
    return (head + parts).encode()


async def keep(mailbox: SqlMailbox, subject: str, number: int) -> None:
    await mailbox.add(raw(subject), derived("mail", number), "Ann@shop.example", subject)


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with embedded_system(tmp_path) as system:
        ground = system.grounds["push"]
        mailbox = SqlMailbox(ground.database, ground.clock)
        for number in range(3):
            await keep(mailbox, f"Mail {number} <i>", number)
        await keep(mailbox, "the same delivery again", 2)
        yield system


async def test_the_list_is_newest_first_in_pages(system: System):
    client, admin = system.client, system.admin
    first = (await client.get("/mailbox/messages?limit=2", headers=admin)).json()
    assert [item["subject"] for item in first["items"]] == ["Mail 2 <i>", "Mail 1 <i>"]
    path = f"/mailbox/messages?limit=2&cursor={first['next']}"
    rest = (await client.get(path, headers=admin)).json()
    assert ([item["subject"] for item in rest["items"]], rest["next"]) == (["Mail 0 <i>"], None)
    wrong = await client.get("/mailbox/messages?cursor=xyz", headers=admin)
    assert wrong.status_code == 422


async def test_the_pages_escape_what_they_show(system: System):
    client, admin = system.client, system.admin
    for path in ("/mailbox", "/mailbox?lang=en", "/mailbox?part=list"):
        page = await client.get(path, headers=admin)
        assert page.status_code == 200
        assert "Mail 2 &lt;i&gt;" in page.text
    one = await client.get(f"/mailbox/{derived('mail', 1)}", headers=admin)
    assert "你好 &lt;b&gt;" in one.text
    assert "alert(1)" not in one.text
    assert 'sandbox="' in one.text


async def test_the_message_itself_is_drawn_in_a_sandbox(system: System):
    client, admin = system.client, system.admin
    drawn = await client.get(f"/mailbox/{derived('mail', 1)}/html", headers=admin)
    policy = drawn.headers["content-security-policy"]
    assert drawn.text.replace('<base target="_blank">', "").strip() == HTML
    assert drawn.text.count('<base target="_blank">') == 1  # links open beside the mailbox
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    got = await client.get(f"/mailbox/{derived('mail', 1)}/raw", headers=admin)
    assert got.content == raw("Mail 1 <i>")
    assert got.headers["content-disposition"].startswith("attachment")


async def test_what_is_not_there_is_404_and_strangers_are_sent_to_log_in(system: System):
    client, admin = system.client, system.admin
    nobody = derived("nobody")
    for path in (f"/mailbox/{nobody}", f"/mailbox/{nobody}/html", f"/mailbox/messages/{nobody}"):
        assert (await client.get(path, headers=admin)).status_code == 404
    raw_mail = f"/mailbox/{derived('mail', 1)}/raw"
    for path, wanted in (("/mailbox", "text/html"), ("/mailbox", "*/*"), (raw_mail, "text/html")):
        answer = await client.get(path, headers={"accept": wanted})
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")
