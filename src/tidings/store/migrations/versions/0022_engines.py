"""Templates in Jinja2 or Liquid."""

from tidings.store.migrations.sql import before, run_file

revision = "0022"
down_revision = before(revision)
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0022_engines.sql")
