"""What applications are told of: subscriptions, and the events that wait to be told."""

from tidings.store.migrations.sql import before, run_file

revision = "0025"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0025_events.sql")
