"""Templates in languages and states, with what they share."""

from tidings.store.migrations.sql import run_file

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0003_content.sql")
