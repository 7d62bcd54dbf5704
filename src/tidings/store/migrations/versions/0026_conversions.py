"""What people did after all, as the application tells it."""

from tidings.store.migrations.sql import before, run_file

revision = "0026"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0026_conversions.sql")
