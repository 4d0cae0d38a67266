"""The whole circle, one test code in both modes: form, mail, link, campaign, answers, funnel.

People act in a real browser, mail goes through a real SMTP server, a real Prometheus scrapes; the test
keeps a book of what happened, and at the end every number has to agree with it.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.components.browser import Pages
from tests.components.smtp import SmtpServer
from tests.components.waiting import PATIENCE
from tests.e2e.api import Api
from tests.e2e.camera import Camera
from tests.e2e.chapters import answering, collecting, counting, looking, pushing
from tests.e2e.scene import Scene
from tests.e2e.site import HOST, site
from tests.e2e.systems import Embedded, RunningSystem, Scaled

MODES = [
    "embedded",
    pytest.param("scaled", marks=[pytest.mark.needs_kafka, pytest.mark.needs_postgres]),
]


@pytest.fixture(params=MODES)
def system(
    request: pytest.FixtureRequest, tmp_path: Path, smtp_server: SmtpServer
) -> Iterator[RunningSystem]:
    """A running system whose mail goes to the real SMTP server."""
    settings = {
        "BAITWELL_SMTP_URL": smtp_server.url,
        "BAITWELL_MAIL_FROM": "茶叶行情 <tea@company.example>",
        "BAITWELL_LINK_HOSTS": HOST,
        "BAITWELL_EARLY_SECONDS": "0",
    }
    made: RunningSystem
    if request.param == "embedded":
        made = Embedded(tmp_path / "system", settings)
    else:
        made = Scaled(
            tmp_path / "system",
            request.getfixturevalue("postgres_url"),
            request.getfixturevalue("kafka").bootstrap,
            request.getfixturevalue("kafka_prefix"),
            settings,
        )
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
async def scene(
    system: RunningSystem, smtp_server: SmtpServer, pages: Pages
) -> AsyncIterator[Scene]:
    """Nobody has come yet."""
    async with (
        Api(system) as api,
        httpx.AsyncClient(base_url=system.url, trust_env=False, timeout=PATIENCE) as public,
    ):
        with site() as shop:
            camera = Camera(system.mode)
            yield Scene(system, api, public, smtp_server.inbox, shop, pages, camera)


@pytest.mark.timeout(240)
async def test_the_whole_circle(
    scene: Scene, start_prometheus: Callable[[Any], Any], tmp_path: Path
) -> None:
    await collecting.make_baits(scene)
    await collecting.leave_by_script(scene)
    await collecting.leave_by_page(scene)
    await collecting.leave_by_plain_form(scene)
    await collecting.leave_by_api(scene)
    await collecting.leave_a_phone_number(scene)
    await collecting.refuse_strangers(scene)
    await collecting.read_bait_mails(scene)
    await collecting.scan(scene)
    await collecting.open_resources(scene)
    await collecting.forge(scene)

    await pushing.find_people(scene)
    await pushing.come_again(scene)
    await pushing.withdraw(scene)
    await pushing.make_segment(scene)
    template = await pushing.make_template(scene)
    await pushing.run_campaign(scene, pushing.FIRST, template, pushing.MAY_GET)
    await pushing.nobody_else_got_any(scene)
    await pushing.decisions_are_readable(scene)

    token = await answering.read_and_click(scene)
    await answering.machines_follow(scene)
    await answering.forged_links_go_nowhere(scene)
    await answering.leave_with_one_click(scene)
    await pushing.run_campaign(scene, pushing.SECOND, template, ("ann", "chen"))
    await pushing.nobody_else_got_any(scene)
    await answering.leave_by_page(scene)
    await answering.report(scene, token)

    await counting.funnel_agrees(scene)
    await looking.before_logging_in(scene)
    await looking.look_around(scene)
    await looking.export_people(scene)
    await counting.prometheus_agrees(scene, start_prometheus)
    await counting.funnel_agrees(scene)
    assert scene.complaints == []
    stopped = scene.system.stop()
    assert all(status != -9 for status in stopped.values())
    assert "people.example" not in scene.system.logs()
