"""Retention: what was forgotten, and when an entry came into an inbox."""

from tidings.store.migrations.sql import before, run_file

revision = "0006"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0006_retention.sql")
