"""Digests: notifications gathered into one."""

from tidings.store.migrations.sql import before, run_file

revision = "0012"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0012_digests.sql")
