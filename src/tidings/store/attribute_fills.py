"""Fills: after a change of the declarations, the values of all users read anew, page by page.

Where a fill has come to is a row. So it goes on after a crash, in whichever process looks next.
"""

from collections.abc import Mapping

import orjson

from tidings.domain.filters import AttributeType, declared_values
from tidings.store import attributes
from tidings.store.database import Connection, Record
from tidings.store.keyring import KeyRing, KeyRingError

_PAGE = 500


async def step(connection: Connection, keyring: KeyRing) -> bool:
    """Do one page of a fill that nobody works on; False when there is none."""
    async with connection.transaction():
        after = await attributes.hold_fill(connection)
        if after is None:
            return False
        declared = await attributes.types(connection)
        rows = await connection.fetch(
            """SELECT id, sealed_attributes FROM users WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE""",
            after,
            _PAGE,
        )
        values = [_values(row, declared, keyring) for row in rows]
        await attributes.write(connection, [row["id"] for row in rows], values)
        last = rows[-1]["id"] if len(rows) == _PAGE else None
        await attributes.proceed_fill(connection, last)
    return True


def _values(
    row: Record, declared: Mapping[str, AttributeType], keyring: KeyRing
) -> dict[str, object]:
    """None for a user whose attributes do not open: the others are filled all the same."""
    if row["sealed_attributes"] is None:
        return {}
    try:
        opened = orjson.loads(keyring.open(row["sealed_attributes"], row["id"].encode()))
    except KeyRingError:
        return {}
    return {**declared_values(opened, declared)}
