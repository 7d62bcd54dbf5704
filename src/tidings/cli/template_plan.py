"""What a push would do: to what templates share first, then to templates, and at last what is taken out of use."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidings.cli import shared_plan, template_folder
from tidings.cli.client import Api, ProblemError
from tidings.cli.shared_plan import Pieces
from tidings.cli.source_files import FolderError, Mistake
from tidings.cli.template_document import Template
from tidings.cli.template_known import known
from tidings.cli.template_locating import OF_CONTENT, mistakes_of
from tidings.cli.template_paths import Found
from tidings.cli.template_step import Action, Step

_PAGE = 200
_NAMED = 3
Versions = Mapping[str, int]
"""Of layouts, partials and the brand, as layout/main."""
Users = Mapping[str, list[str]]
"""The ids of the templates that use each, as layout/main."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """draft: compare with the latest version and not with the published one, and publish none. refresh: publish anew
    what keeps an older layout, partial or brand. prune: take out of use what the server has and the folders have not:
    templates where the folders hold templates, and what is shared where they hold any of that."""

    draft: bool = False
    refresh: bool = False
    prune: bool = False


def planned(api: Api, found: Found, wishes: Wishes) -> list[Step]:
    """In the order in which the steps are to be done."""
    there = shared_plan.on_server(api)
    shared = shared_plan.steps_of(found.shared, there)
    newest = {piece.name: piece.version for piece in there.values()}
    for step in shared:
        if step.changes:
            newest[f"{step.kind}/{step.id}"] = (step.version or 0) + 1
    steps = [*shared, *(_step(api, folder, newest, wishes) for folder in found.templates)]
    return [*steps, *_removals(api, found, there, steps)] if wishes.prune else steps


def refreshes(api: Api, only: Collection[str]) -> list[Step]:
    """Of these templates, or of all, what keeps an older layout, partial or brand."""
    newest = {piece.name: piece.version for piece in shared_plan.on_server(api).values()}
    steps = (_of_server(answer, newest) for answer in named(api, only))
    return [step for step in steps if only or step.changes]


def every(api: Api, *, archived: bool = False) -> Iterator[dict[str, Any]]:
    """The templates of the server, without those that are archived, or those alone."""
    cursor: str | None = None
    while True:
        page = api.get("templates", cursor=cursor, limit=_PAGE, archived=str(archived).lower())
        yield from page["templates"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def named(api: Api, ids: Collection[str]) -> Iterator[dict[str, Any]]:
    """These templates; all of them where none is named. Raises CommandError for one that is not there."""
    if not ids:
        yield from every(api)
    for one in ids:
        with known(one):
            yield api.get("templates", one)


def users_of(answers: Iterable[Mapping[str, Any]]) -> Users:
    users: dict[str, list[str]] = {}
    for answer in answers:
        for name in answer["shared"]:
            users.setdefault(name, []).append(answer["id"])
    return users


def unless_used(step: Step, users: Users) -> Step:
    """The removal, or that it is refused: a template that uses it could not be stored any more."""
    using = users.get(f"{step.kind}/{step.id}", [])
    if not using:
        return step
    more = f" and {len(using) - _NAMED} more" if len(using) > _NAMED else ""
    said = f"is not in these folders, and not removed: used by {', '.join(using[:_NAMED])}{more}"
    mistakes = tuple(Mistake(Path(file), 0, said) for file in step.before)
    return replace(step, action="refused", mistakes=mistakes)


def _step(api: Api, folder: Path, newest: Versions, wishes: Wishes) -> Step:
    name = folder.resolve().name
    try:
        here = template_folder.read(folder)
        state = _state(api, name)
    except FolderError as error:
        return Step("template", name, "refused", source=folder, mistakes=tuple(error.mistakes))
    except ProblemError as problem:
        if problem.status not in OF_CONTENT:
            raise
        mistakes = mistakes_of(folder, problem)
        return Step("template", name, "refused", source=folder, mistakes=mistakes)
    document = {**here.document(), "draft": wishes.draft}
    files = template_folder.files(here)
    step = Step("template", name, "create", after=files, document=document, source=folder)
    return step if state is None else _compared(api, step, here, state, newest, wishes)


def _compared(
    api: Api,
    step: Step,
    here: Template,
    state: Mapping[str, Any],
    newest: Versions,
    wishes: Wishes,
) -> Step:
    """With the published version; with the latest for a draft, and where none is published."""
    current: int | None = state["current_version"]
    version = state["latest_version"] if wishes.draft or current is None else current
    answer = api.get("templates", step.id, version=version)
    before = Template.of_answer(answer)
    older = () if wishes.draft or before != here else _older(answer, newest)
    action: Action = "unchanged"
    if before != here:
        action = "update"
    elif older and wishes.refresh:
        action = "refresh" if current is not None else "update"
    elif current is None and not wishes.draft:
        action = "publish"
    elif state["archived_at"] is not None:
        action = "restore"
    return replace(
        step,
        action=action,
        before=template_folder.files(before),
        version=version,
        archived=state["archived_at"] is not None,
        older=older,
    )


def _state(api: Api, template_id: str) -> Mapping[str, Any] | None:
    try:
        state: Mapping[str, Any] = api.get("templates", template_id, "versions")
    except ProblemError as problem:
        if problem.status == 404:
            return None
        raise
    return state


def _of_server(answer: Mapping[str, Any], newest: Versions) -> Step:
    older = _older(answer, newest) if answer["published_at"] is not None else ()
    return Step(
        "template",
        answer["id"],
        "refresh" if older else "unchanged",
        document=Template.of_answer(answer).document(),
        source=Path(answer["id"]),
        version=answer["version"],
        older=older,
    )


def _older(answer: Mapping[str, Any], newest: Versions) -> tuple[str, ...]:
    return tuple(name for name, version in answer["shared"].items() if newest.get(name) != version)


def _removals(api: Api, found: Found, there: Pieces, steps: Iterable[Step]) -> Iterator[Step]:
    """What templates share goes last, when none uses it any more."""
    templates = [step for step in steps if step.of_template]
    kept = {step.id for step in templates}
    answers = list(every(api))
    gone = [one for one in answers if found.templates and one["id"] not in kept]
    for answer in gone:
        before = template_folder.files(Template.of_answer(answer))
        yield Step("template", answer["id"], "archive", before, version=answer["version"])
    if found.shared:
        # What a template will use that is about to be stored is not known before it is.
        open_ids = {one["id"] for one in gone} | {step.id for step in templates if step.changes}
        users = users_of(one for one in answers if one["id"] not in open_ids)
        for step in shared_plan.removals(found.shared, there):
            yield unless_used(step, users)
