"""What failed for good, kept to be looked at and sent again."""

from tidings.store.migrations.sql import before, run_file

revision = "0005"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0005_dead_letters.sql")
