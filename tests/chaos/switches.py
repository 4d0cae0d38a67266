"""Parts of the program that stand still while a file is there, to be put in by `tests.chaos.changed`.

The files are made by the case, in the folder that CHAOS_SWITCHES names.
"""

from collections.abc import Callable, Sequence
from typing import Any

from services.capture.leads.service import Prepared
from services.shared.group_commit import GroupCommit
from tests.chaos.pieces import replace, while_off

HELD_COMMITS = "held-commits"


def hold_commits() -> None:
    """Leads wait for their commit, as they do behind a disk that takes long."""
    prompt = GroupCommit._attempt

    async def held(commit: GroupCommit[Any, Any], items: Sequence[Any]) -> Any:
        if isinstance(items[0], Prepared):
            await while_off(HELD_COMMITS)
        return await prompt(commit, items)

    replace(GroupCommit, "_attempt", held)


SWITCHES: dict[str, Callable[[], None]] = {HELD_COMMITS: hold_commits}
