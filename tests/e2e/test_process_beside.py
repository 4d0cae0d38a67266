"""Mail leaves from a process beside the one that answers people; neither needs the other to be well."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.components.smtp import SmtpServer
from tests.components.waiting import PATIENCE, wait_until
from tests.e2e.systems import Embedded

Start = Callable[..., Embedded]


@pytest.fixture
def start(tmp_path: Path, smtp_server: SmtpServer) -> Iterator[Start]:
    """Start a system that mails to the server, with more settings."""
    systems = []

    def started(**settings: str) -> Embedded:
        mail = {"BAITWELL_SMTP_URL": f"smtp://127.0.0.1:{smtp_server.port}?tls=never"}
        system = Embedded(tmp_path, {**mail, **settings})
        systems.append(system)
        system.start()
        return system

    yield started
    for system in systems:
        system.kill()


def beside(system: Embedded) -> list[psutil.Process]:
    """The processes that the system has made."""
    assert system.process is not None
    return psutil.Process(system.process.pid).children()


def ask_for_the_bait(system: Embedded, email: str) -> None:
    """Leave a contact with the bait that every installation begins with."""
    answer = httpx.post(
        f"{system.url}/v1/baits/welcome/leads",
        json={"contact": {"email": email}},
        trust_env=False,
        timeout=PATIENCE,
    )
    assert answer.status_code == 202, answer.text


def sent(system: Embedded) -> float:
    """How many deliveries the system says it has sent."""
    text = httpx.get(f"{system.url}/metrics", trust_env=False, timeout=PATIENCE).text
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("baitwell_deliveries_changed_total{") and 'state="sent"' in line
    )


def test_mail_goes_on_when_the_process_that_sends_is_killed(
    start: Start, smtp_server: SmtpServer
) -> None:
    system = start()
    (sender,) = beside(system)
    ask_for_the_bait(system, "first@people.example")
    smtp_server.inbox.wait_for(1, to="first@people.example")
    wait_until(lambda: sent(system) == 1, "the counter of what was sent")

    sender.kill()

    ask_for_the_bait(system, "second@people.example")
    smtp_server.inbox.wait_for(1, to="second@people.example")
    wait_until(lambda: sent(system) == 2, "the counter goes on")
    assert "messages are sent from this one" in system.logs()
    system.stop()
    assert len(smtp_server.inbox.all()) == 2


def test_a_stop_ends_both_and_gives_everything_back(start: Start, smtp_server: SmtpServer) -> None:
    system = start()
    (sender,) = beside(system)
    ask_for_the_bait(system, "first@people.example")
    smtp_server.inbox.wait_for(1)
    wait_until(lambda: sent(system) == 1, "the counter of what was sent")

    system.stop()

    wait_until(lambda: not sender.is_running(), "the end of the process beside")
    system.start()
    ask_for_the_bait(system, "second@people.example")
    smtp_server.inbox.wait_for(1, to="second@people.example")
    assert len(smtp_server.inbox.all()) == 2


def test_who_sends_ends_with_who_answers(start: Start) -> None:
    system = start()
    (sender,) = beside(system)
    system.kill()
    wait_until(lambda: not sender.is_running(), "the end of the process beside")


def test_ctrl_c_reaches_both_and_is_no_error(start: Start) -> None:
    system = start()
    (sender,) = beside(system)
    assert system.process is not None
    for pid in (sender.pid, system.process.pid):
        os.kill(pid, signal.SIGINT)
    wait_until(lambda: not sender.is_running(), "the end of the process beside")
    wait_until(lambda: system.process is not None and not system.process.running, "the end")
    assert "Traceback" not in system.logs()


def test_one_process_where_that_is_wanted(start: Start, smtp_server: SmtpServer) -> None:
    system = start(BAITWELL_SENDER_PROCESS="false")
    assert beside(system) == []
    ask_for_the_bait(system, "first@people.example")
    smtp_server.inbox.wait_for(1, to="first@people.example")


def test_no_process_beside_where_mail_stays_on_the_machine(start: Start) -> None:
    assert beside(start(BAITWELL_MAIL="local")) == []
