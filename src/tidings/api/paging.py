"""Keyset pagination: the cursor is the last id of the page before."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

Cursor = Annotated[UUID | None, Query(description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Entries on a page.")]
