"""What profile's endpoints reach: its ground and its pages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from services.profile.settings import ProfileSettings
from services.shared.database import Database
from services.shared.ground import Ground
from services.shared.web.pages import Pages

TEMPLATES = Path(__file__).parent / "pages" / "templates"


@dataclass(frozen=True)
class ProfileService:
    """Profile while it runs."""

    ground: Ground[ProfileSettings]
    pages: Pages

    @property
    def database(self) -> Database:
        return self.ground.database


def service_for(ground: Ground[ProfileSettings]) -> ProfileService:
    """Profile on a ground."""
    return ProfileService(ground, Pages(TEMPLATES, zone=ground.settings.zone))


def _of_request(request: Request) -> ProfileService:
    service: ProfileService = request.app.state.service
    return service


ProfileOfRequest = Annotated[ProfileService, Depends(_of_request)]
