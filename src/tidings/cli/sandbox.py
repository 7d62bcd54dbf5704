"""`tidings sandbox`."""

from typing import Annotated

import typer
import uvloop

from tidings.cli.errors import CommandError
from tidings.cli.signals import stopping
from tidings.sandbox.running import (
    APNS_PORT,
    CALLBACKS,
    HOST,
    KEEP,
    PORT,
    SMTP_PORT,
    Options,
    running,
)
from tidings.sandbox.settings_text import settings_text
from tidings.sandbox.vendor import Place, Vendor
from tidings.sandbox.vendors.catalogue import VENDORS

app = typer.Typer(add_completion=False)


@app.command()
def sandbox(
    settings: Annotated[
        bool,
        typer.Option("--settings", help="Print the accounts for tidings.toml, and start nothing."),
    ] = False,
    vendor: Annotated[
        list[str] | None,
        typer.Option(help="Only this vendor; may be given several times. Webhooks and SMTP stay."),
    ] = None,
    callbacks: Annotated[
        str, typer.Option(metavar="URL", help="Where Tidings is called back; empty for nowhere.")
    ] = CALLBACKS,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = HOST,
    port: Annotated[int, typer.Option(help="Port of the vendors' APIs and the page.")] = PORT,
    smtp_port: Annotated[int, typer.Option(help="Port of the mail server.")] = SMTP_PORT,
    apns_port: Annotated[
        int, typer.Option(help="Port of Apple's service, which speaks HTTP/2 without TLS.")
    ] = APNS_PORT,
    keep: Annotated[int, typer.Option(min=1, help="How many messages are kept, the last.")] = KEEP,
    pace: Annotated[
        float,
        typer.Option(min=0, help="Factor of the waits before something becomes of a message."),
    ] = 1.0,
) -> None:
    """Run a stand-in for every vendor on this machine, with a page that shows what was "sent".

    It delivers nothing, keeps everything in memory, and calls back with the vendors' own signatures. Ctrl+C
    stops it.
    """
    options = Options(
        host, port, smtp_port, apns_port, callbacks, keep, pace, _chosen(vendor or [])
    )
    if settings:
        typer.echo(settings_text(options.vendors, options.place), nl=False)
        return
    uvloop.run(_run(options))


async def _run(options: Options) -> None:
    stop = stopping()
    try:
        async with running(options) as sandbox:
            _greet(sandbox.place)
            await stop.wait()
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {options.host}, ports {options.port}, {options.smtp_port} and {options.apns_port}: "
            f"{error.strerror}.",
            "Another program may use one; --port, --smtp-port and --apns-port choose others.",
        ) from None


def _chosen(names: list[str]) -> tuple[Vendor, ...]:
    known = {vendor.name: vendor for vendor in VENDORS}
    for name in names:
        if name not in known:
            raise CommandError(f"No vendor {name!r}.", f"There are {', '.join(known)}.")
    return tuple(one for one in VENDORS if not names or one.name in (*names, "webhook"))


def _greet(place: Place) -> None:
    typer.secho("\n  Tidings sandbox", bold=True, nl=False)
    typer.echo("  nothing is delivered; Ctrl+C stops it\n")
    for name, value in (
        ("Page", place.url),
        ("SMTP", f"port {place.ports['smtp']}"),
        ("APNs", f"port {place.ports['apns']}"),
        ("Calls back", place.callbacks or "nobody"),
        ("Settings", "tidings sandbox --settings >> tidings.toml"),
    ):
        typer.secho(f"  {name:<12}", dim=True, nl=False)
        typer.echo(value)
    typer.echo()
