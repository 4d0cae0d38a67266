"""stub"""

from fastapi import APIRouter


def page_routers() -> tuple[APIRouter, ...]:
    return ()
