"""Categories, further preferences with their history, and the decisions behind a delivery."""

from tidings.store.migrations.sql import before, run_file

revision = "0010"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0010_preferences.sql")
