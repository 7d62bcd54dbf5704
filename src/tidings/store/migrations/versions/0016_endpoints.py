"""Endpoints that fail for long are left alone."""

from tidings.store.migrations.sql import before, run_file

revision = "0016"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0016_endpoints.sql")
