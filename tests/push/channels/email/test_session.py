"""TLS and AUTH against a real server."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from services.push.channels.base import (
    ChannelUnavailable,
    Content,
    OutcomeClass,
    Outgoing,
    Result,
    SenderIdentity,
)
from services.push.channels.email.channel import SmtpChannel
from services.push.channels.email.session import read_extensions
from services.push.channels.email.settings import SmtpSettings, Timeouts, Tls
from services.shared.clock import ShiftedClock
from tests.components.smtp import SmtpServer
from tests.components.waiting import eventually

HERE = Path(__file__).parent / "tls"
AUTHORITY = str(HERE / "loopback.pem")
CONTENT = Content(("Hi",), ("text\n",), None, "en", "v")
LOGINS = {"ann": "p@ss:wörd/1"}
QUOTED = "ann:p%40ss%3Aw%C3%B6rd%2F1"

Start = Callable[..., SmtpServer]


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / "loopback_with_key.pem")
    return context


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def run(*, tls: bool = False, **options: object) -> SmtpServer:
            context = server_context() if tls else None
            server = SmtpServer(tls=context, **options)  # type: ignore[arg-type]
            stack.callback(server.stop)
            return server

        yield run


async def send(url: str) -> Result:
    """One message through a channel of its own."""
    clock = ShiftedClock(timedelta(0))
    settings = SmtpSettings.from_url(url, timeouts=Timeouts(connect=5, command=5))
    channel = SmtpChannel(
        settings, SenderIdentity("", "news@shop.example"), clock, hello="c.example"
    )
    results: list[Result] = []
    connection = await channel.connect(results.append)
    fresh = clock.monotonic() + 60
    connection.submit(Outgoing(uuid4(), "a@b.example", CONTENT, {}, None, None, fresh))
    await eventually(lambda: results, "a result")
    await connection.close()
    return results[0]


async def refusal(url: str) -> ChannelUnavailable:
    with pytest.raises(ChannelUnavailable) as caught:
        await send(url)
    return caught.value


class TestTls:
    async def test_starttls_is_used_when_it_is_offered(self, start: Start) -> None:
        server = start(tls=True)
        assert (await send(server.url)).outcome is OutcomeClass.OK
        assert server.inbox.wait_for(1)[0].tls

    async def test_starttls_with_a_login(self, start: Start) -> None:
        server = start(tls=True, logins=LOGINS)
        url = f"smtp+starttls://{QUOTED}@127.0.0.1:{server.port}?ca={AUTHORITY}"
        assert (await send(url)).outcome is OutcomeClass.OK
        (mail,) = server.inbox.wait_for(1)
        assert (mail.tls, mail.login) == (True, "ann")

    async def test_tls_from_the_first_octet(self, start: Start) -> None:
        server = start(tls=True, smtps=True)
        url = f"smtps://127.0.0.1:{server.port}?ca={AUTHORITY}"
        assert (await send(url)).outcome is OutcomeClass.OK

    async def test_a_certificate_that_nobody_vouches_for_is_our_configuration(
        self, start: Start
    ) -> None:
        server = start(tls=True)
        error = await refusal(f"smtp+starttls://127.0.0.1:{server.port}")
        assert (error.outcome, error.code) == (OutcomeClass.PERMANENT_CONFIG, "tls-certificate")

    async def test_required_tls_that_is_not_offered_is_refused(self, start: Start) -> None:
        server = start()
        error = await refusal(f"smtp://127.0.0.1:{server.port}?tls=required")
        assert (error.outcome, error.code) == (OutcomeClass.PERMANENT_CONFIG, "tls-not-offered")

    async def test_tls_can_be_switched_off_on_this_machine(self, start: Start) -> None:
        server = start(tls=True)
        assert (await send(f"{server.url}?tls=never")).outcome is OutcomeClass.OK
        assert not server.inbox.wait_for(1)[0].tls


class TestAuth:
    async def test_a_login_in_clear_on_loopback(self, start: Start) -> None:
        server = start(logins=LOGINS)
        url = f"smtp://{QUOTED}@127.0.0.1:{server.port}"
        assert (await send(url)).outcome is OutcomeClass.OK
        assert server.inbox.wait_for(1)[0].login == "ann"

    async def test_a_wrong_password_is_our_configuration_and_is_not_told(
        self, start: Start
    ) -> None:
        server = start(logins=LOGINS)
        error = await refusal(f"smtp://ann:swordfish@127.0.0.1:{server.port}")
        assert error.outcome is OutcomeClass.PERMANENT_CONFIG
        assert error.code.startswith("535")
        assert "swordfish" not in str(error)

    async def test_a_server_without_auth_is_our_configuration(self, start: Start) -> None:
        server = start()
        error = await refusal(f"smtp://{QUOTED}@127.0.0.1:{server.port}")
        assert error.code == "auth-not-offered"

    async def test_a_server_that_wants_a_login_and_gets_none(self, start: Start) -> None:
        server = start(logins=LOGINS)
        assert (await send(server.url)).outcome is OutcomeClass.PERMANENT_CONFIG


class TestSettings:
    @pytest.mark.parametrize(
        ("url", "tls", "port"),
        [
            ("smtp://mail.example", Tls.OFFERED, 25),
            ("smtp://mail.example:2525?tls=required", Tls.REQUIRED, 2525),
            ("smtp://mail.example?tls=never", Tls.NEVER, 25),
            ("smtps://mail.example", Tls.IMPLICIT, 465),
            ("smtp+starttls://mail.example", Tls.REQUIRED, 587),
        ],
    )
    def test_a_url_says_how(self, url: str, tls: Tls, port: int) -> None:
        settings = SmtpSettings.from_url(url)
        assert (settings.host, settings.tls, settings.port) == ("mail.example", tls, port)

    @pytest.mark.parametrize(
        "url",
        [
            "http://mail.example",
            "smtp://",
            "smtp://mail.example:99999",
            "smtp://mail.example?tls=perhaps",
            "smtps://mail.example?tls=never",
            "smtp://mail.example?colour=red",
            "smtp://ann@mail.example",
            "smtp://ann:swordfish@mail.example?tls=never",
        ],
    )
    def test_a_url_that_cannot_be_meant_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"mail server|password|tls=") as caught:
            SmtpSettings.from_url(url)
        assert "swordfish" not in str(caught.value)

    def test_a_password_is_never_shown(self) -> None:
        settings = SmtpSettings.from_url("smtps://ann:swordfish@mail.example")
        assert settings.password == "swordfish"
        assert "swordfish" not in repr(settings)

    def test_a_missing_certificate_file_is_said(self) -> None:
        settings = SmtpSettings.from_url("smtps://mail.example?ca=/nowhere/ca.pem")
        with pytest.raises(ValueError, match="certificate authority"):
            SmtpChannel(settings, SenderIdentity("", "a@b.example"), ShiftedClock(timedelta(0)))

    def test_a_sender_that_is_no_address_is_said(self) -> None:
        settings = SmtpSettings.from_url("smtps://mail.example")
        with pytest.raises(ValueError, match="MAIL_FROM"):
            SmtpChannel(settings, SenderIdentity("", "nobody"), ShiftedClock(timedelta(0)))


def test_extensions_are_read_as_servers_write_them() -> None:
    found = read_extensions(
        b"mx.example greets you\nPIPELINING\nsize 35882577\nAUTH=LOGIN\nAUTH PLAIN XOAUTH2\nSTARTTLS"
    )
    assert (found.pipelining, found.size, found.starttls, found.utf8) == (
        True,
        35882577,
        True,
        False,
    )
    assert found.auth == {"LOGIN", "PLAIN", "XOAUTH2"}
    assert read_extensions(b"mx.example\nSIZE\nSIZE x").size is None
