"""Templates that declare the data they take."""

from tidings.store.migrations.sql import before, run_file

revision = "0008"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0008_templates.sql")
