"""The sending half of push, put together: policy, ledger, dispatchers, and what watches over them."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from services.push.channels.opening import Opened, open_channels, sender_of
from services.push.deliveries.desk import DeliveryDesk
from services.push.deliveries.dispatcher import Dispatcher
from services.push.deliveries.gauges import DispatchMetrics
from services.push.deliveries.halts import PauseCampaign
from services.push.deliveries.material import ContentSource, Filler
from services.push.deliveries.service import CampaignNames, Ledger, Rules
from services.push.deliveries.tidying import Recovery, Tidy
from services.push.deliveries.wallclock import WallClock
from services.push.mailbox.repository import SqlMailbox
from services.push.policy.service import Policy
from services.push.policy.service import Rules as PolicyRules
from services.push.reach import handlers as reach
from services.push.reach.freshness import Freshness
from services.push.requests.messages import AllContents
from services.push.settings import PushSettings
from services.shared.ground import Ground
from services.shared.runner.supervisor import BackgroundTask

CONSUMER = "push"


@dataclass(frozen=True)
class CampaignSeams:
    """What the ledger asks of campaigns and templates."""

    contents: ContentSource | None
    pause: PauseCampaign
    names: CampaignNames


@dataclass(frozen=True)
class Sending:
    """What sends, and who is asked about it."""

    desk: DeliveryDesk
    opened: Opened
    metrics: DispatchMetrics
    tasks: Sequence[BackgroundTask]
    guards: Sequence[BackgroundTask]
    """What every process that sends has to run."""
    dispatching: Sequence[BackgroundTask]


def policy_of(settings: PushSettings) -> Policy:
    """The policy that the settings describe."""
    return Policy(
        PolicyRules(
            settings.zone,
            settings.quiet_start,
            settings.quiet_end,
            settings.cap_day,
            settings.cap_week,
        )
    )


def assemble(ground: Ground[PushSettings], seams: CampaignSeams) -> Sending:
    """Everything that sends, for the channels that are connected. Raises `SetupError`."""
    settings, clock, database = ground.settings, ground.clock, ground.database
    opened = open_channels(settings, SqlMailbox(database, clock), clock)
    policy = policy_of(settings)
    rules = Rules(
        policy=policy,
        contents=AllContents(seams.contents, sender_of(settings)),
        pause_campaign=seams.pause,
        campaign_names=seams.names,
        chance=random.Random().random,  # noqa: S311  # jitter, not a secret
    )
    wall_clock = WallClock(database, clock)
    freshness = Freshness(
        ground.neighbours,
        ground.bus,
        database,
        clock,
        consumer=CONSUMER,
        topics=reach.TOPICS,
    )
    metrics = DispatchMetrics(ground.registry)
    dispatchers: list[Dispatcher] = []
    desk = DeliveryDesk(database, clock, policy, dispatchers, wall_clock, freshness)
    filler = Filler(settings.public_url, ground.tokens)
    for channel in opened.channels:
        ledger = Ledger(rules, clock, ground.ids)
        dispatchers.append(
            Dispatcher(
                channel, ledger, database, filler, clock, closed=desk.closed, observer=metrics
            )
        )
    for dispatcher in dispatchers:
        dispatcher.traffic = ground.traffic
        database.on_commit(dispatcher.wake)

    recovery = Recovery(database, clock)

    def show() -> None:
        metrics.show(desk.pauses(), freshness.age)

    tasks = [
        BackgroundTask("freshness", freshness.run),
        BackgroundTask("tidy", Tidy(database, clock, policy, settings.trace_kept).run),
        BackgroundTask("delivery gauges", partial(metrics.keep, database, clock, show)),
    ]
    guards = [BackgroundTask("clock guard", wall_clock.run)]
    dispatching = [
        BackgroundTask(f"dispatcher {d.status.channel}", partial(_dispatch, recovery, d))
        for d in dispatchers
    ]
    return Sending(desk, opened, metrics, tasks, guards, dispatching)


async def _dispatch(recovery: Recovery, dispatcher: Dispatcher, stop: asyncio.Event) -> None:
    await recovery.first()
    await dispatcher.run(stop)
