"""Migrations are SQL files; each revision runs its own."""

from pathlib import Path

from alembic import op


def run_file(name: str) -> None:
    """Run a file beside the revisions, whole, in the revision's transaction.

    It goes straight to asyncpg's simple protocol, which takes many statements at once; SQLAlchemy would
    prepare them one by one and read `:name` as a parameter.
    """
    script = (Path(__file__).parent / "versions" / name).read_text(encoding="utf-8")
    raw = op.get_bind().connection.dbapi_connection
    assert raw is not None
    raw.run_async(lambda connection: connection.execute(script))


def before(revision: str) -> str:
    """The revision that comes before this one: they are numbered, and a number may be left out."""
    numbers = (path.name[:4] for path in (Path(__file__).parent / "versions").glob("[0-9]*.py"))
    return max(number for number in numbers if number < revision)
