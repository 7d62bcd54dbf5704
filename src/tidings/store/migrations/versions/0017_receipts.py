"""Receipts: what vendors report back."""

from tidings.store.migrations.sql import before, run_file

revision = "0017"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0017_receipts.sql")
