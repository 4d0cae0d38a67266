"""Walking through the people of a rule, page by page in the order of their ids.

Where a condition has to hold for all of them and an index has its people in that order, only they are looked at,
not everybody; of several such conditions the one that has the fewest people just there.
"""

from typing import Any
from uuid import UUID

from sqlmodel import Session

from services.profile.segments import repository, rules
from services.profile.segments.compiling import Compiler
from services.profile.segments.leaves import Having, World, asked


def walk(session: Session, rule: Any, world: World, after: UUID | None, limit: int) -> list[UUID]:
    """The next people of a rule behind `after`, `limit` at most."""
    compiler = Compiler(world)
    sets = in_order(rule, world)
    if not sets:
        return repository.members(session, compiler.expression(rule), after, limit)
    chosen = repository.sparsest(session, [part for _, part in sets], after, limit)
    leaf, within = sets[chosen]
    return repository.members(session, compiler.but(rule, leaf), after, limit, within)


def in_order(rule: Any, world: World) -> list[tuple[Any, Having]]:
    """The conditions that have to hold and whose people an index has in order, with their sets."""
    leaves = rule.all if isinstance(rule, rules.AllRule) else (rule,)
    found = []
    for leaf in leaves:
        if not isinstance(leaf, rules.AllRule | rules.AnyRule | rules.NotRule):
            parts = [part for part in asked(leaf, world) if isinstance(part, Having)]
            found += [(leaf, part) for part in parts if part.in_order]
    return found
