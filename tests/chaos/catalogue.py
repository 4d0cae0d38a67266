"""All cases, in the order in which they run."""

from tests.chaos.case import Case
from tests.chaos.cases import (
    crash,
    r1_crashes,
    r2_campaign,
    r3_pauses,
    r4_dispatchers,
    r5_standstill,
    r6_link,
    r7_disk,
    r8_power,
    r9_clock,
    r10_again,
    r11_poison,
    r12_mail_server,
    r13_once,
    r14_simulation,
    r15_rolling,
    r16_upgrade,
    r17_leaving,
    r18_overload,
    s9_timing,
    s10_bombs,
)

CASES: dict[str, Case] = {
    case.id: case
    for case in (
        r1_crashes.CASE,
        r2_campaign.CASE,
        r3_pauses.CASE,
        r4_dispatchers.TWO,
        r4_dispatchers.FOUR,
        r5_standstill.CASE,
        r6_link.CASE,
        r7_disk.CASE,
        r7_disk.UNSYNCED,
        r8_power.CASE,
        r9_clock.CASE,
        r10_again.CASE,
        r11_poison.CASE,
        r12_mail_server.CASE,
        r13_once.CASE,
        r14_simulation.CASE,
        r15_rolling.CASE,
        r16_upgrade.CASE,
        r17_leaving.CASE,
        r18_overload.CASE,
        s9_timing.CASE,
        s10_bombs.CASE,
        crash.CASE,
    )
}
