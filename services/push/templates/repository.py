"""Every query on templates."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, func, select

from services.push.deliveries.models import Delivery
from services.push.reach.models import ReachProfile
from services.push.templates.models import Template, TemplateVersion
from services.shared.database.cursors import after


def find(session: Session, template_id: UUID, *, lock: bool = False) -> Template | None:
    """A template; with `lock` nobody else edits it until the transaction ends."""
    statement = select(Template).where(col(Template.id) == template_id)
    if lock:
        statement = statement.with_for_update()
    return session.exec(statement).one_or_none()


def version(session: Session, template_id: UUID, number: int) -> TemplateVersion | None:
    """One version of a template."""
    return session.exec(
        select(TemplateVersion).where(
            col(TemplateVersion.template_id) == template_id, col(TemplateVersion.number) == number
        )
    ).one_or_none()


def name_taken(session: Session, name: str, besides: UUID | None = None) -> bool:
    """Whether another template has this name."""
    found = session.exec(select(Template.id).where(col(Template.name) == name)).first()
    return found is not None and found != besides


def page(session: Session, cursor: str | None, limit: int) -> list[Template]:
    """Templates, newest first; one more than `limit` when there are more."""
    statement = select(Template).order_by(col(Template.created_at).desc(), col(Template.id).desc())
    statement = statement.where(*after(cursor, col(Template.created_at), col(Template.id)))
    return list(session.exec(statement.limit(limit + 1)))


def profile_of(session: Session, profile_id: UUID) -> ReachProfile | None:
    """A person as push knows them, unless erased."""
    profile = session.get(ReachProfile, profile_id)
    if profile is not None and profile.alias_of is not None:
        profile = session.get(ReachProfile, profile.alias_of)
    return None if profile is None or profile.erased_at is not None else profile


def tests_since(session: Session, since: datetime) -> int:
    """How many tests were asked for since then."""
    return session.exec(
        select(func.count())
        .select_from(Delivery)
        .where(col(Delivery.cause_kind) == "test", col(Delivery.created_at) > since)
    ).one()
