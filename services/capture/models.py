"""The tables of capture."""

from services.capture.baits import models as baits
from services.capture.files import models as files
from services.capture.leads import models as leads
from services.capture.tables import metadata

__all__ = ["baits", "files", "leads", "metadata"]
