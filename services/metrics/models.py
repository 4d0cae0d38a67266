"""The tables of metrics."""

from services.metrics.engagements.models import KeptAnswer
from services.metrics.funnel.models import First, Name, RawEvent, Total
from services.metrics.subjects.models import ContactOwner, Delivery, Lead, ProfileAlias
from services.metrics.tables import metadata
from services.metrics.waiting.models import Waiting

__all__ = [
    "ContactOwner",
    "Delivery",
    "First",
    "KeptAnswer",
    "Lead",
    "Name",
    "ProfileAlias",
    "RawEvent",
    "Total",
    "Waiting",
    "metadata",
]
