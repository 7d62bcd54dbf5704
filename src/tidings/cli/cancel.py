"""`tidings cancel`."""

from typing import Annotated
from uuid import UUID

import typer

from tidings.cli.client import open_api
from tidings.cli.config import load_settings
from tidings.cli.output import Json, print_json

app = typer.Typer(add_completion=False)


@app.command()
def cancel(
    notification_id: Annotated[UUID, typer.Argument(metavar="ID")], as_json: Json = False
) -> None:
    """Cancel what has not been sent yet. What is being sent at this moment cannot be called back."""
    with open_api(load_settings()) as api:
        answer = api.send("POST", "notifications", str(notification_id), "cancel")
    if as_json:
        print_json(answer)
        return
    count = len(answer["cancelled"])
    typer.echo(f"Cancelled {count} {'delivery' if count == 1 else 'deliveries'}.")
