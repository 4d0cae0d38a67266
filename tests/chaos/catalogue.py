"""All cases, in the order in which they run."""

from tests.chaos.case import Case
from tests.chaos.cases import crash, r1_crashes, r2_campaign, r13_once

CASES: dict[str, Case] = {
    case.id: case for case in (r1_crashes.CASE, r2_campaign.CASE, r13_once.CASE, crash.CASE)
}
