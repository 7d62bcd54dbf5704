"""Users with attributes, devices with their state, and suppressions of one category."""

from tidings.store.migrations.sql import before, run_file

revision = "0009"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0009_users.sql")
