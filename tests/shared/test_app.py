"""The app of a service whose log is away from its first moment on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from services.shared import outbox
from services.shared.app import Service, create_app
from services.shared.bus import BusUnavailable
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.runner.consumer import ConsumerSpec
from tests.components.waiting import eventually
from tests.contract.runner.stands import lead
from tests.ground import close_ground, make_ground


class AwayBus(SqliteBus):
    """Not there until the test says so."""

    away = True

    async def start(self, topics: Sequence[str]) -> None:
        if self.away:
            raise BusUnavailable("not there")
        await super().start(topics)


async def test_a_service_starts_without_the_log_and_shows_what_waits(tmp_path: Path) -> None:
    ground = make_ground(tmp_path, "push", clock=SystemClock())
    bus = AwayBus(tmp_path / "away.sqlite", ground.clock)
    object.__setattr__(ground, "bus", bus)
    service = Service("push", None, consumer=ConsumerSpec("push", ("leads",), {}))
    app = create_app(service, ground)
    engine: Any = app.state.engine
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        await ground.database.transaction(
            lambda s: outbox.put(s, [lead("k", n) for n in range(3)], ground.clock.now())
        )
        await eventually(lambda: engine.gauges.outbox.depth == 3, "back-pressure sees the outbox")
        ready = await client.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["parts"] == {"log": "the event log does not answer yet"}
        assert (await client.get("/health/live")).status_code == 200
        shown = await client.get("/metrics")
        assert 'baitwell_outbox_messages{service="push"} 3.0' in shown.text
        bus.away = False
        await eventually(engine.log_ready.is_set, "the log was tried again")
        await eventually(lambda: engine.relay.published == 3, "what waited is said")
        assert (await client.get("/health/ready")).status_code == 200
    await close_ground(ground)
