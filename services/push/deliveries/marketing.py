"""Whether any marketing waits: nine priorities need not be asked for what is not there."""

from functools import cache

from sqlalchemy import bindparam, select
from sqlmodel import Session

from services.push.deliveries.models import standing_in
from services.push.deliveries.repository import LEDGER
from services.push.deliveries.states import WAITING
from services.push.sets import dialect_of
from services.shared.database.base import Dialect
from services.shared.database.ready import Ready


@cache
def _any(_dialect: Dialect) -> Ready:
    return Ready(
        select(LEDGER.c.id)
        .where(
            LEDGER.c.marketing == bindparam("marketing"),
            LEDGER.c.channel == bindparam("channel"),
            standing_in(WAITING, LEDGER.c.state),
        )
        .limit(1)
    )


def waits(session: Session, channel: str) -> bool:
    """Whether marketing of a channel is planned or held, due or not."""
    asked = {"marketing": True, "channel": channel}
    return bool(_any(dialect_of(session)).rows(session, asked))
