"""Whether a system goes on by itself: a new person is answered, and gets the bait mail, in time."""

import asyncio
import time

from tests.chaos.stage import Stage

_GOES_ON_SECONDS = 15.0


async def goes_on(stage: Stage, after: str) -> None:
    """A new person is answered and gets the bait mail within 15 s; it is a fault when not."""
    begun = time.monotonic()
    await stage.crowd.come(1)
    newest = next(reversed(stage.crowd.people))
    while not any(mail.recipient == newest for mail in stage.postbox.mails):
        if time.monotonic() - begun > _GOES_ON_SECONDS:
            stage.verdict.faults.append(f"it did not go on within 15 s after {after}")
            return
        await asyncio.sleep(0.1)
