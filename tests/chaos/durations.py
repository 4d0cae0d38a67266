"""How long the cases take, so that nobody starts what they have no time for."""

from collections.abc import Iterable, Mapping

from tests.chaos.case import Case, Mode

_TIMES: Mapping[Mode, Mapping[str, tuple[int, int]]] = {
    "embedded": {
        "R1": (24, 12),
        "R2": (59, 5),
        "R3": (53, 4),
        "R4-two": (67, 7),
        "R4-four": (63, 6),
        "R5": (16, 2),
        "R6": (76, 6),
        "R7": (28, 1),
        "R7-eio": (21, 1),
        "R8": (9, 3),
        "R9": (62, 5),
        "R10": (134, 8),
        "R11": (55, 3),
        "R12": (73, 3),
        "R13": (71, 6),
        "R14": (41, 8),
        "R15": (67, 6),
        "R16": (66, 2),
        "R17": (209, 9),
        "R18": (60, 4),
        "S9": (207, 10),
        "S10": (39, 5),
        "crash": (64, 4),
    },
    "scaled": {
        "R1": (69, 15),
        "R2": (126, 10),
        "R3": (96, 8),
        "R4-two": (126, 10),
        "R4-four": (164, 10),
        "R5": (124, 8),
        "R6": (118, 8),
        "R9": (178, 10),
        "R12": (78, 4),
        "R13": (181, 10),
        "R15": (388, 12),
        "R16": (88, 4),
        "R17": (200, 14),
    },
}
"""Seconds of the short form, one run each on two cores that others used as well (load 1 to 25; of R17 scaled
and R18 a guess); minutes of
the full form, reckoned from the sizes and the short form: the whole of it was never run in one go."""


def listed(cases: Iterable[Case]) -> str:
    """A table of these cases."""
    lines = ["case      mode      short   full    saboteurs"]
    short = full = 0
    for case in cases:
        for mode in case.modes:
            seconds, minutes = _TIMES[mode][case.id]
            short, full = short + seconds, full + minutes
            words = (f"{case.id:<9} {mode:<9}", f"{seconds:>3} s  ", f"{minutes:>2} min ")
            lines.append(f"{' '.join(words)} {', '.join(case.saboteurs)}")
    lines.append(
        f"together  {'':<9} {short / 60:.0f} min  {full / 60:.1f} h (reckoned, not measured)"
    )
    return "\n".join(lines)
