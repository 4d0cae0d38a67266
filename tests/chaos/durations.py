"""How long the cases take: measured on two cores, nothing else running beside, rounded up."""

from collections.abc import Iterable, Mapping

from tests.chaos.case import Case, Mode

_SHORT: Mapping[Mode, Mapping[str, int]] = {
    "embedded": {},
    "scaled": {},
}
"""Seconds of the short form (broker and database of the scaled mode are started once more)."""

_FULL: Mapping[Mode, Mapping[str, int]] = {
    "embedded": {},
    "scaled": {},
}
"""Seconds of the full form; a case that stands in neither table was not measured."""


def listed(cases: Iterable[Case]) -> str:
    """A table of these cases."""
    lines = ["case      mode      short s   full s  saboteurs"]
    total = {"short": 0, "full": 0}
    for case in cases:
        for mode in case.modes:
            short, full = _SHORT[mode].get(case.id, 0), _FULL[mode].get(case.id, 0)
            total["short"] += short
            total["full"] += full
            lines.append(
                f"{case.id:<9} {mode:<9} {short or '?':>7} {full or '?':>8}  "
                f"{', '.join(case.saboteurs)}"
            )
    lines.append(f"all of it, in minutes: {total['short'] / 60:.0f} and {total['full'] / 60:.0f}")
    return "\n".join(lines)
