"""What the delivery engine needs: lanes, accounts' health, limits, batches."""

from tidings.store.migrations.sql import run_file

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0002_engine.sql")
