"""The tables of profile: those of its nouns and those of the ground."""

import services.profile.consent.models
import services.profile.leads.models
import services.profile.people.models
import services.profile.segments.models
import services.profile.timeline.models  # noqa: F401  # each import makes its tables known
from services.profile.base import metadata
from services.shared.database import ground_tables

__all__ = ["metadata"]

ground_tables(metadata)
