"""The SMTP server of the tests."""

import smtplib
from email.message import EmailMessage

import aiosmtplib
import pytest

from tests.components.smtp import SmtpServer
from tests.components.waiting import TooLate


def letter(recipient: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "shop@well.example"
    message["To"] = recipient
    message["Subject"] = "价目表"
    message.set_content("您好")
    return message


async def test_a_mail_arrives_parsed(smtp_server: SmtpServer) -> None:
    await aiosmtplib.send(letter("li@home.example"), hostname="127.0.0.1", port=smtp_server.port)
    (mail,) = await smtp_server.inbox.arrived(to="li@home.example")
    assert mail.sender == "shop@well.example"
    assert mail.message["Subject"] == "价目表"
    assert mail.text().strip() == "您好"


def test_a_refused_recipient_gets_the_reply_that_was_set(smtp_server: SmtpServer) -> None:
    smtp_server.inbox.answer("gone@home.example", "550 5.1.1 no such user")
    with (
        smtplib.SMTP("127.0.0.1", smtp_server.port) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused) as refused,
    ):
        client.send_message(letter("gone@home.example"))
    assert refused.value.recipients["gone@home.example"] == (550, b"5.1.1 no such user")
    assert smtp_server.inbox.all() == []


def test_waiting_in_vain_says_so(smtp_server: SmtpServer) -> None:
    with pytest.raises(TooLate, match=r"0 of 1 mails to li@home\.example"):
        smtp_server.inbox.wait_for(to="li@home.example", seconds=0.05)


def test_only_who_logs_in_may_send() -> None:
    server = SmtpServer(logins={"shop": "sesame"})
    try:
        with (
            smtplib.SMTP("127.0.0.1", server.port) as client,
            pytest.raises(smtplib.SMTPSenderRefused),
        ):
            client.send_message(letter("li@home.example"))
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.login("shop", "sesame")
            client.send_message(letter("li@home.example"))
    finally:
        server.stop()
    (mail,) = server.inbox.all()
    assert mail.login == "shop"
