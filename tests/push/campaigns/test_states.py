"""What may be done with a campaign in each state, and what is said when it may not."""

from typing import get_args

import pytest

from services.push.campaigns.states import ALLOWED, Action, CampaignState, after, check_editable
from services.shared.errors import Conflict

TABLE = """
            schedule   start    pause   resume   cancel
draft       scheduled  running  -       -        cancelled
scheduled   scheduled  running  paused  -        cancelled
running     -          running  paused  running  cancelled
paused      -          -        paused  running  cancelled
done        -          -        -       -        -
cancelled   -          -        -       -        cancelled
"""


def cells() -> list[tuple[str, str, str]]:
    head, *lines = [line.split() for line in TABLE.strip().splitlines()]
    return [
        (line[0], action, cell)
        for line in lines
        for action, cell in zip(head, line[1:], strict=True)
    ]


@pytest.mark.parametrize(("state", "action", "reached"), cells())
def test_the_table(state: str, action: Action, reached: str) -> None:
    if reached != "-":
        assert after(action, state) == reached
        return
    with pytest.raises(Conflict) as refused:
        after(action, state)
    chinese = refused.value.document("zh-CN")
    english = refused.value.document("en")
    assert chinese["status"] == 409
    assert "不能" in chinese["detail"]
    assert english["detail"].startswith(f"The campaign is {state}")
    assert english["state"] == state


def test_the_table_names_every_state_and_action() -> None:
    assert {state for state, _, _ in cells()} == set(CampaignState)
    assert {action for _, action, _ in cells()} == set(get_args(Action)) == set(ALLOWED)


@pytest.mark.parametrize("state", CampaignState)
def test_only_drafts_and_paused_campaigns_can_be_edited(state: CampaignState) -> None:
    if state in ("draft", "paused"):
        check_editable(state)
        return
    with pytest.raises(Conflict):
        check_editable(state)
