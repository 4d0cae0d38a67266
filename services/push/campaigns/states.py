"""The states of a campaign and what may be done in each."""

from enum import StrEnum
from typing import Literal

from services.shared.errors import Conflict

Action = Literal["schedule", "start", "pause", "resume", "cancel"]


class CampaignState(StrEnum):
    """Where a campaign stands. done and cancelled are final."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


EDITABLE = (CampaignState.DRAFT, CampaignState.PAUSED)
FINAL = (CampaignState.DONE, CampaignState.CANCELLED)

_S = CampaignState

ALLOWED: dict[Action, dict[CampaignState, CampaignState]] = {
    "schedule": {_S.DRAFT: _S.SCHEDULED, _S.SCHEDULED: _S.SCHEDULED},
    "start": {_S.DRAFT: _S.RUNNING, _S.SCHEDULED: _S.RUNNING, _S.RUNNING: _S.RUNNING},
    "pause": {_S.SCHEDULED: _S.PAUSED, _S.RUNNING: _S.PAUSED, _S.PAUSED: _S.PAUSED},
    "resume": {_S.PAUSED: _S.RUNNING, _S.RUNNING: _S.RUNNING},
    "cancel": {
        _S.DRAFT: _S.CANCELLED,
        _S.SCHEDULED: _S.CANCELLED,
        _S.RUNNING: _S.CANCELLED,
        _S.PAUSED: _S.CANCELLED,
        _S.CANCELLED: _S.CANCELLED,
    },
}
"""Where each action leads from. An action whose state is reached already changes nothing."""

STATES: dict[str, tuple[str, str]] = {
    "draft": ("草稿", "draft"),
    "scheduled": ("已排期", "scheduled"),
    "running": ("发送中", "running"),
    "paused": ("已暂停", "paused"),
    "done": ("已完成", "done"),
    "cancelled": ("已取消", "cancelled"),
}

_ACTIONS: dict[Action, tuple[str, str]] = {
    "schedule": ("排期", "scheduled"),
    "start": ("开始", "started"),
    "pause": ("暂停", "paused"),
    "resume": ("继续", "resumed"),
    "cancel": ("取消", "cancelled"),
}


def after(action: Action, state: str) -> CampaignState:
    """The state that an action leads to. Raises `Conflict` with the reason when it is not allowed."""
    reached = ALLOWED[action].get(CampaignState(state))
    if reached is None:
        chinese, english = STATES[state]
        verb, participle = _ACTIONS[action]
        raise Conflict(
            (
                f"活动当前为“{chinese}”，不能{verb}。",
                f"The campaign is {english}: it can't be {participle}.",
            ),
            code="campaign-state",
            extra={"state": state},
        )
    return reached


def check_editable(state: str) -> None:
    """Raises `Conflict` unless settings may be changed now."""
    if CampaignState(state) not in EDITABLE:
        chinese, english = STATES[state]
        raise Conflict(
            (
                f"活动当前为“{chinese}”，只有草稿或已暂停的活动可以修改。",
                f"The campaign is {english}: only a draft or a paused campaign can be edited.",
            ),
            code="campaign-state",
            extra={"state": state},
        )
