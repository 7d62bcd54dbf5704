"""What there is to choose from: the categories of the templates in use, and the channels that these have."""

from collections.abc import Collection

from tidings.domain.channels import Channel
from tidings.store.database import Reader

_IN_USE = """templates t JOIN template_versions v ON v.template_id = t.id AND v.version = t.current_version
  WHERE t.archived_at IS NULL"""


async def offered(connection: Reader) -> dict[str, set[Channel]]:
    """The channels of each category, in the order of its id."""
    rows = await connection.fetch(
        f"""SELECT category, array_agg(DISTINCT channel) AS channels
            FROM (SELECT v.category, json_object_keys(v.content) AS channel FROM {_IN_USE}) AS used
            GROUP BY category ORDER BY category"""
    )
    return {row["category"]: {Channel(channel) for channel in row["channels"]} for row in rows}


async def gathered(connection: Reader) -> set[str]:
    """The categories with a template whose digest comes as often as a user has chosen."""
    rows = await connection.fetch(
        f"SELECT DISTINCT v.category FROM {_IN_USE} AND v.digest IS NOT NULL AND v.digest->>'window' IS NULL"
    )
    return {row["category"] for row in rows}


async def templates_of(connection: Reader, categories: Collection[str]) -> dict[str, str]:
    """The category of each template of these categories, by template id."""
    rows = await connection.fetch(
        f"SELECT t.id, v.category FROM {_IN_USE} AND v.category = ANY($1::text[])", list(categories)
    )
    return {row["id"]: row["category"] for row in rows}
