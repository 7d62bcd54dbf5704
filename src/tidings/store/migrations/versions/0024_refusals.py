"""Why lines and users were refused, counted."""

from tidings.store.migrations.sql import before, run_file

revision = "0024"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0024_refusals.sql")
