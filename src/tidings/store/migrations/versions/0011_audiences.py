"""Audiences: topics, declared attributes, segments, and broadcasts to them."""

from tidings.store.migrations.sql import before, run_file

revision = "0011"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0011_audiences.sql")
