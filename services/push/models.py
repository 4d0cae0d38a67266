"""The tables of push."""

from services.push.campaigns import models as campaigns
from services.push.tables import metadata
from services.push.templates import models as templates

__all__ = ["campaigns", "metadata", "templates"]
