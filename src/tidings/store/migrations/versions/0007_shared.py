"""What templates share: layouts, partials and the brand."""

from tidings.store.migrations.sql import before, run_file

revision = "0007"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0007_shared.sql")
