"""Expiry of what waits, wherever it waits."""

from tidings.store.migrations.sql import before, run_file

revision = "0013"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0013_expiry.sql")
