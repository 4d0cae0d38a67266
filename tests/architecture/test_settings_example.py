"""`.env.example` names every setting, and no other."""

import re
from pathlib import Path

from services.command_line import kinds

ROOT = Path(__file__).resolve().parents[2]
# Told by the command line, not by the environment.
NOT_SET = frozenset({"for_service"})


def test_the_example_names_every_setting_and_no_other() -> None:
    shown = set(
        re.findall(r"^#?(BAITWELL_[A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    known = {
        f"BAITWELL_{name.upper()}"
        for kind in kinds()
        for name in kind.settings.model_fields
        if name not in NOT_SET
    }
    assert shown == known
