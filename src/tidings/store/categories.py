"""Categories that were declared: what holds for all notifications of a kind."""

from collections.abc import Sequence

from tidings.domain.categories import Cadence, Cap, Categories, Category
from tidings.domain.channels import Channel
from tidings.domain.limits import Rate
from tidings.domain.send_times import SendWindow
from tidings.store.database import Connection, Pool, Reader, Record, borrow
from tidings.store.hours import hours_document, read_hours

_COLUMNS = "id, name, channels, mandatory, cap_rate, cap_over, send_window, quiet_hours, digest"


async def put(connection: Reader, category: Category) -> bool:
    """Declare it, or change it; whether it is new."""
    created: bool = await connection.fetchval(
        f"""INSERT INTO categories ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, channels = excluded.channels,
              mandatory = excluded.mandatory, cap_rate = excluded.cap_rate, cap_over = excluded.cap_over,
              send_window = excluded.send_window, quiet_hours = excluded.quiet_hours, digest = excluded.digest,
              updated_at = now()
            RETURNING xmax = 0""",
        category.id,
        category.name,
        dict(category.channels),
        category.mandatory,
        category.cap and str(category.cap.rate),
        category.cap and category.cap.over,
        hours_document(category.window),
        category.quiet_hours,
        category.digest,
    )
    return created


async def find(connection: Reader, category_id: str) -> Category | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM categories WHERE id = $1", category_id)
    return None if row is None else _category(row)


async def listed(
    connection: Reader, *, after: str = "", limit: int | None = None
) -> list[Category]:
    """In the order of their ids, those behind `after`."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM categories WHERE id > $1 ORDER BY id LIMIT $2", after, limit
    )
    return [_category(row) for row in rows]


async def mandatory_among(connection: Reader, category_ids: Sequence[str]) -> list[str]:
    """Those of these that nobody can turn off."""
    rows = await connection.fetch(
        "SELECT id FROM categories WHERE id = ANY ($1::text[]) AND mandatory ORDER BY id",
        category_ids,
    )
    return [row["id"] for row in rows]


async def remove(connection: Reader, category_id: str) -> bool:
    """Whether it was there."""
    done = await connection.fetchval(
        "DELETE FROM categories WHERE id = $1 RETURNING true", category_id
    )
    return done is not None


class CategoryCache:
    """All that are declared; a change notice, and a reconnection, make it read them again."""

    def __init__(self) -> None:
        self._known: Categories | None = None
        self._last: Categories = {}
        self._changes = 0

    def forget(self) -> None:
        self._changes += 1
        self._known = None

    @property
    def known(self) -> Categories:
        """As they were read last."""
        return self._last

    @property
    def capped(self) -> bool:
        """Whether any of those that are known has a cap."""
        return any(one.cap is not None for one in self._last.values())

    async def get(self, pool: Pool) -> Categories:
        """Reads only after a change."""
        if self._known is not None:
            return self._known
        async with borrow(pool) as connection:
            return await self.load(connection)

    async def load(self, connection: Connection) -> Categories:
        """The same, over a connection that is at hand."""
        if self._known is None:
            changes = self._changes
            found = self._last = {one.id: one for one in await listed(connection)}
            # A change heard while we were reading may have made what we read old.
            if changes != self._changes:
                return found
            self._known = found
        return self._known

    def heard(self, payload: str) -> None:
        """For the listener: told `TABLE:ID`, and nothing at a reconnection."""
        if payload.partition(":")[0] in {"", "categories"}:
            self.forget()


def _category(row: Record) -> Category:
    cap = None if row["cap_rate"] is None else Cap(Rate.parse(row["cap_rate"]), row["cap_over"])
    return Category(
        id=row["id"],
        name=row["name"],
        channels={Channel(channel): on for channel, on in row["channels"].items()},
        mandatory=row["mandatory"],
        cap=cap,
        window=read_hours(SendWindow, row["send_window"]),
        quiet_hours=row["quiet_hours"],
        digest=Cadence(row["digest"]),
    )
