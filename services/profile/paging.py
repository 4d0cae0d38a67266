"""What the lists of profile take."""

from typing import Annotated

from fastapi import Query

PAGE = 50
AFTER = "after"
"""The name of the parameter that carries a cursor."""

After = Annotated[str | None, Query(max_length=80, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200)]
