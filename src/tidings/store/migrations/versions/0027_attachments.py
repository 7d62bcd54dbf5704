"""The files that go with emails."""

from tidings.store.migrations.sql import before, run_file

revision = "0027"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0027_attachments.sql")
