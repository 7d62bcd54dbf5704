"""Feeds: numbered changes, and counters that are kept."""

from tidings.store.migrations.sql import before, run_file

revision = "0019"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0019_feeds.sql")
