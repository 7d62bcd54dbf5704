"""Why some were refused, as a table."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from tidings.cli.output import table


def refusals(counted: Sequence[dict[str, Any]]) -> Table:
    rows = [(one["code"], f"{one['count']:,}", one["title"]) for one in counted]
    return table(("refused for", "count", "why"), rows)
