"""`tidings template push`, `diff`, `outdated` and `refresh`: from a folder to the server."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tidings.cli import template_folder, template_plan, template_report
from tidings.cli.client import Api, open_api
from tidings.cli.config import load_settings
from tidings.cli.errors import CommandError
from tidings.cli.output import Json, console, print_json, table
from tidings.cli.source_files import FolderError
from tidings.cli.template_apply import apply
from tidings.cli.template_document import Template
from tidings.cli.template_known import known
from tidings.cli.template_paths import Found, find
from tidings.cli.template_plan import Wishes
from tidings.cli.template_proof import proven
from tidings.cli.template_step import Step, diff

Paths = Annotated[
    list[Path],
    typer.Argument(metavar="PATH", exists=True, help="Folders, or files inside them."),
]
Plan = Annotated[bool, typer.Option("--plan", help="Only say what would be done.")]
Check = Annotated[
    bool,
    typer.Option(
        "--check", help="Only say what would be done, with exit status 3 where anything would."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def push(
    paths: Paths,
    plan: Plan = False,
    check: Check = False,
    yes: Yes = False,
    draft: Annotated[
        bool, typer.Option("--draft", help="Store versions that are not used until published.")
    ] = False,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh", help="Publish anew what keeps older layouts, partials or an older brand."
        ),
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Archive the templates, and remove the layouts, partials and brand, that are not in these folders.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Create or update templates and what they share on the server, where their content differs.

    PATH is the folder around several, a template's folder, or any file of one. What would be done is shown and checked
    first; on a terminal you are asked before it is. Brand, partials and layouts are stored before the templates; what
    is taken out of use, after them. What is wrong is told with file and line, and nothing of that template is stored;
    the others are. A second push has nothing to do. Exit status: 0 done, 1 something is wrong, 3 with --check something
    would be done.
    """
    if draft and refresh:
        raise CommandError("--refresh publishes, and --draft does not.", "Give one of them.")
    found = _found(paths)
    with open_api(load_settings()) as api:
        steps = template_plan.planned(api, found, Wishes(draft, refresh, prune))
        _carry_out(api, steps, plan=plan, check=check, yes=yes, as_json=as_json)


def compare(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", exists=True, help="Folders to be compared."),
    ] = None,
    template_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Two versions of this one instead.")
    ] = None,
    before: Annotated[
        int | None,
        typer.Option(min=1, help="With --id: the older; the published one if not given."),
    ] = None,
    after: Annotated[
        int | None, typer.Option(min=1, help="With --id: the newer; the latest if not given.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit status 3 where anything differs.")
    ] = False,
) -> None:
    """Show what differs between folders and the server, or between two versions."""
    if bool(paths) == (template_id is not None):
        raise CommandError("Give either a PATH or --id.")
    with open_api(load_settings()) as api:
        if template_id is None:
            steps = template_plan.planned(api, _found(paths or []), Wishes())
            template_report.show(steps)
            template_report.report_plan(steps, as_json=False, check=check)
            return
        lines = _between(api, template_id, before, after)
    template_report.print_diff(lines)
    if not lines:
        typer.echo("Nothing differs.")
    elif check:
        raise typer.Exit(template_report.CHANGES)


def outdated(as_json: Json = False) -> None:
    """List the templates that were published with older layouts, partials or an older brand."""
    with open_api(load_settings()) as api:
        found = api.get("outdated-templates")["templates"]
    if as_json:
        print_json(*found)
    elif found:
        rows = [(one["template_id"], ", ".join(one["parts"])) for one in found]
        console().print(table(("template", "older parts"), rows))
        typer.echo("`tidings template refresh` publishes them anew.")
    else:
        typer.echo("All are published with the newest.")


def refresh(
    only: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Only these; else all outdated.")
    ] = None,
    plan: Plan = False,
    check: Check = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Publish templates anew, with the newest layouts, partials and brand.

    Their own content stays as it is published. What was accepted before keeps its version.
    """
    with open_api(load_settings()) as api:
        steps = template_plan.refreshes(api, only or ())
        _carry_out(api, steps, plan=plan, check=check, yes=yes, as_json=as_json)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "push": push,
    "diff": compare,
    "outdated": outdated,
    "refresh": refresh,
}


def _carry_out(
    api: Api, steps: Sequence[Step], *, plan: bool, check: bool, yes: bool, as_json: bool
) -> None:
    asks = not (yes or as_json) and template_report.asks()
    if plan or check or asks:
        steps = proven(api, steps)
    if not as_json:
        template_report.show(steps)
    if plan or check or (asks and not template_report.agreed(steps)):
        template_report.report_plan(steps, as_json=as_json, check=check)
    else:
        template_report.report(apply(api, steps), as_json=as_json)


def _found(paths: Sequence[Path]) -> Found:
    try:
        return find(paths)
    except FolderError as error:
        raise CommandError("\n".join(map(str, error.mistakes))) from None


def _between(api: Api, template_id: str, before: int | None, after: int | None) -> list[str]:
    """Two versions, the layouts, partials and brand that each keeps among them."""
    with known(template_id):
        state = api.get("templates", template_id, "versions")
    old = before or state["current_version"] or state["latest_version"]
    new = after or state["latest_version"]
    answers = []
    for version in (old, new):
        with known(template_id, version):
            answers.append(api.get("templates", template_id, version=version))
    files = [template_folder.files(Template.of_answer(answer)) for answer in answers]
    shared = ["".join(f"{k} v{v}\n" for k, v in one["shared"].items()) for one in answers]
    return list(
        diff(
            {**files[0], "shared": shared[0]},
            {**files[1], "shared": shared[1]},
            f"v{old}",
            f"v{new}",
        )
    )
