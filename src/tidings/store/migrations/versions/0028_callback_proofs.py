"""Proofs that are good for one callback."""

from tidings.store.migrations.sql import before, run_file

revision = "0028"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0028_callback_proofs.sql")
