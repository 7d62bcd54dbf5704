"""Opens and clicks of our own."""

from tidings.store.migrations.sql import before, run_file

revision = "0018"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0018_tracking.sql")
