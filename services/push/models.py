"""The tables of push."""

from services.push.campaigns import models as campaigns
from services.push.deliveries import models as deliveries
from services.push.mailbox import models as mailbox
from services.push.policy import models as policy
from services.push.reach import models as reach
from services.push.requests import models as requests
from services.push.tables import metadata
from services.push.templates import models as templates

__all__ = [
    "campaigns",
    "deliveries",
    "mailbox",
    "metadata",
    "policy",
    "reach",
    "requests",
    "templates",
]
