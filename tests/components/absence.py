"""What is said, and done, when a component cannot be had."""

import os
from dataclasses import dataclass
from typing import NoReturn

import pytest

PHRASE = "cannot be had here: "


@dataclass(frozen=True)
class Missing:
    """Why a component is absent and what would enable it."""

    component: str
    reason: str
    enable: str

    def __str__(self) -> str:
        return f"{self.component} {PHRASE}{self.reason} -- enable with: {self.enable}"


def in_ci() -> bool:
    """With `CI=true` nothing may be left out."""
    return os.environ.get("CI") == "true"


def refuse(missing: Missing) -> NoReturn:
    """Skip the test at hand; a failure where nothing may be left out."""
    if in_ci():
        pytest.fail(str(missing), pytrace=False)
    pytest.skip(str(missing))
