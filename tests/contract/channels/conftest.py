"""One rig per test; what it opened is closed, and nothing may have been reported twice."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.channels.rigs import RIGS, Rig


@pytest.fixture(params=list(RIGS))
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with RIGS[request.param]() as rig:
        yield rig
        for connection in rig.connections:
            await connection.close()
        await rig.channel.close()
