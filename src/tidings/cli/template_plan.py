"""What a push would do to the templates of the server, and doing it."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidings.cli import template_folder
from tidings.cli.client import Api, ProblemError
from tidings.cli.template_folder import FolderError, Mistake, Template

_PAGE = 200
# A problem with the request as a whole is the template's only where the API looked at the template.
_OF_TEMPLATE = frozenset({400, 413})
DONE = {
    "create": "created",
    "update": "updated",
    "publish": "published",
    "archive": "archived",
    "unchanged": "unchanged",
    "refused": "refused",
}


@dataclass(frozen=True, slots=True)
class Step:
    """Of one template. action: create, update, publish (it is there as a draft), archive, unchanged or refused.
    restore: it is archived, and taken back first. version: of the server; after the step, the one it made."""

    id: str
    action: str
    before: Template | None = None
    after: Template | None = None
    folder: Path | None = None
    version: int | None = None
    restore: bool = False
    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return self.restore or self.action not in {"unchanged", "refused"}

    def document(self, result: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "result": result,
            "version": self.version,
            "problems": [
                {"file": str(one.file), "line": one.line or None, "message": one.message}
                for one in self.mistakes
            ],
            "warnings": list(self.warnings),
        }


def planned(api: Api, folders: Sequence[Path], *, draft: bool, prune: bool) -> list[Step]:
    """A step for each folder. draft: compare with the latest version and not with the published one. prune:
    archive what the server has and the folders have not."""
    steps = [_step(api, folder, draft=draft) for folder in folders]
    if prune:
        there = {step.id for step in steps}
        steps += [
            Step(answer["id"], "archive", Template.of_answer(answer), version=answer["version"])
            for answer in every(api)
            if answer["id"] not in there
        ]
    return steps


def apply(api: Api, step: Step, *, draft: bool) -> Step:
    """The step as it was done; refused where the API found mistakes."""
    try:
        if step.restore:
            api.post("templates", step.id, "restore", document={})
        answer = _done(api, step, draft=draft)
    except ProblemError as problem:
        if problem.status not in _OF_TEMPLATE or step.folder is None:
            raise
        return replace(
            step, action="refused", version=None, mistakes=_mistakes(step.folder, problem)
        )
    warnings = tuple(f"{one['path']}: {one['message']}" for one in answer.get("warnings", ()))
    return replace(step, version=answer.get("version", step.version), warnings=warnings)


def every(api: Api, *, archived: bool = False) -> Iterator[dict[str, Any]]:
    """All templates of the server."""
    cursor: str | None = None
    while True:
        page = api.get("templates", cursor=cursor, limit=_PAGE, archived=str(archived).lower())
        yield from page["templates"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def diff(before: Template | None, after: Template | None, old: str, new: str) -> Iterator[str]:
    """Unified, file by file, as in the folder."""
    was = {} if before is None else template_folder.files(before)
    now = {} if after is None else template_folder.files(after)
    for name in sorted(was.keys() | now.keys()):
        yield from difflib.unified_diff(
            was.get(name, "").splitlines(),
            now.get(name, "").splitlines(),
            f"{old}/{name}",
            f"{new}/{name}",
            lineterm="",
        )


def summary(steps: Iterable[Step]) -> str:
    """As `1 to create, 2 to update`; empty where there is nothing to do."""
    counts: dict[str, int] = {}
    for step in steps:
        if step.changes:
            word = "restore" if step.action == "unchanged" else step.action
            counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{count} to {word}" for word, count in counts.items())


def _step(api: Api, folder: Path, *, draft: bool) -> Step:
    name = folder.resolve().name
    try:
        after = template_folder.read(folder)
    except FolderError as error:
        return Step(name, "refused", folder=folder, mistakes=tuple(error.mistakes))
    try:
        state = _state(api, after.id)
    except ProblemError as problem:
        if problem.status not in _OF_TEMPLATE:
            raise
        return Step(name, "refused", folder=folder, mistakes=_mistakes(folder, problem))
    if state is None:
        return Step(after.id, "create", None, after, folder)
    current: int | None = state["current_version"]
    compared = state["latest_version"] if draft or current is None else current
    before = Template.of_answer(api.get("templates", after.id, version=compared))
    action = "update" if before != after else "unchanged"
    if action == "unchanged" and current is None and not draft:
        action = "publish"
    archived = state["archived_at"] is not None
    return Step(after.id, action, before, after, folder, compared, restore=archived)


def _state(api: Api, template_id: str) -> Mapping[str, Any] | None:
    try:
        state: Mapping[str, Any] = api.get("templates", template_id, "versions")
    except ProblemError as problem:
        if problem.status == 404:
            return None
        raise
    return state


def _done(api: Api, step: Step, *, draft: bool) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = {}
    if step.action == "archive":
        api.post("templates", step.id, "archive", document={})
    elif step.action == "publish":
        answer = api.post("templates", step.id, "publish", document={"version": step.version})
    elif step.action in {"create", "update"} and step.after is not None:
        document = {**step.after.document(), "draft": draft}
        if step.action == "create":
            answer = api.post("templates", document={"id": step.id, **document})
        else:
            answer = api.put("templates", step.id, document=document)
    return answer


def _mistakes(folder: Path, problem: ProblemError) -> tuple[Mistake, ...]:
    found = tuple(template_folder.locate(folder, path, said) for path, said in problem.errors)
    return found or (Mistake(folder, 0, problem.message),)
