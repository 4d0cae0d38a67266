"""Which channels the settings connect, and which settings are refused."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.push.channels.base import Content, Outgoing, Result
from services.push.channels.email.mailbox import LocalMailbox, MemoryMailbox
from services.push.channels.opening import open_channels
from services.push.settings import PushSettings
from services.shared.clock import VirtualClock
from services.shared.errors import SetupError
from services.shared.settings import load_settings
from tests.components.waiting import eventually
from tests.push.channels.email.dkim.verifying import RSA, valid

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SCALED = {
    "database_url": "postgresql://x/y",
    "kafka_servers": "localhost:9092",
    "secret_keys": "1:long enough to be one",
    "contact_key": "long enough to be one",
    "internal_key": "long enough to be one",
}


def opened(**settings: Any):
    loaded = load_settings(PushSettings, "push", **settings)
    return open_channels(loaded, MemoryMailbox(), VirtualClock())


def names(**settings: Any) -> list[str]:
    return [channel.name for channel in opened(**settings).channels]


def test_without_a_mail_server_mail_stays_here():
    found = opened()
    assert found.local_mail
    assert isinstance(found.channels[0], LocalMailbox)


def test_a_mail_server_is_used_unless_local_mail_is_asked_for():
    url = "smtp://127.0.0.1:2525"
    assert not opened(smtp_url=url).local_mail
    assert opened(smtp_url=url, mail="local").local_mail


async def test_a_webhook_is_connected_beside_the_mail():
    hook = {"webhook_url": "https://hook.example/x", "webhook_secret": SECRET}
    found = opened(**hook)
    assert [channel.name for channel in found.channels] == ["email", "webhook"]
    for close in found.closers:
        await close()


def test_a_process_may_dispatch_some_channels_only():
    assert names(channels="email") == ["email"]
    assert names(channels="webhook") == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"channels": "pigeon"}, "no such channel: pigeon"),
        ({"mail": "smtp"}, "BAITWELL_SMTP_URL"),
        (SCALED, "BAITWELL_MAIL=local"),
        ({"mail_from": "nobody"}, "BAITWELL_MAIL_FROM"),
        ({"smtp_url": "http://x"}, "BAITWELL_SMTP_URL is wrong"),
        ({"dkim_keys": "shop.example:s1:/no/such/file"}, "BAITWELL_DKIM_KEYS is wrong"),
        ({"webhook_url": "https://hook.example/x"}, "BAITWELL_WEBHOOK_SECRET"),
        ({"webhook_url": "https://hook.example/x", "webhook_secret": "short"}, "whsec_"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(settings: dict[str, Any], says: str):
    with pytest.raises(SetupError, match=says) as refusal:
        opened(**settings)
    assert "\n" not in str(refusal.value)


def test_scaled_with_local_mail_is_allowed():
    assert opened(**SCALED, mail="local").local_mail


async def test_mail_that_stays_here_is_signed_as_it_would_be(tmp_path: Path):
    file = tmp_path / "key.pem"
    file.write_bytes(RSA.pem())
    loaded = load_settings(
        PushSettings, "push", dkim_keys=f"shop.example:s1:{file}", mail_from="x@shop.example"
    )
    mailbox = MemoryMailbox()
    (channel,) = open_channels(loaded, mailbox, VirtualClock()).channels
    results: list[Result] = []
    connection = await channel.connect(results.append)
    content = Content(("Hi",), ("text",), None, "en", "v")
    connection.submit(Outgoing(uuid4(), "a@b.example", content, {}, None, None, 1e9))
    await eventually(lambda: results, "the result")
    await connection.close()
    (raw,) = mailbox.messages.values()
    assert valid(raw) == [True]
