"""Doing what a plan says, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidings.cli.client import Api, ProblemError
from tidings.cli.errors import CommandError
from tidings.cli.template_locating import OF_CONTENT, mistakes_of, warnings_of
from tidings.cli.template_plan import Users, every, unless_used, users_of
from tidings.cli.template_step import Step
from tidings.domain.shared import BRAND


@dataclass(frozen=True, slots=True)
class Applied:
    """The steps as they were done. stopped: why the last ones were not; the same plan, made anew, goes on with
    them."""

    steps: Sequence[Step]
    stopped: CommandError | None = None


def apply(api: Api, steps: Sequence[Step]) -> Applied:
    """What the API finds mistakes in is refused, and the others are done; but templates wait where something is refused
    that they may share."""
    done: list[Step] = []
    users: Users | None = None
    for number, step in enumerate(steps):
        try:
            if step.action == "remove" and users is None:
                users = users_of(every(api))
            one = unless_used(step, users or {}) if step.action == "remove" else step
            if one.of_template and any(map(_blocks, done)):
                one = _waiting(one)
            done.append(_applied(api, one) if one.changes else one)
        except (CommandError, KeyboardInterrupt) as error:
            stopped = error if isinstance(error, CommandError) else CommandError("Interrupted.")
            return Applied([*done, *map(_waiting, steps[number:])], stopped)
    return Applied(done)


def _blocks(step: Step) -> bool:
    return step.action == "refused" and not step.of_template


def _waiting(step: Step) -> Step:
    return replace(step, action="waiting") if step.changes else step


def _applied(api: Api, step: Step) -> Step:
    source = step.source or Path(step.id)
    try:
        answer = (_call if step.of_template else _share)(api, step) or {}
        # Last, so that a template whose new version is refused is not back with the old one.
        if step.archived:
            api.post("templates", step.id, "restore", document={})
    except ProblemError as problem:
        if problem.status not in OF_CONTENT:
            raise
        return replace(step, action="refused", version=None, mistakes=mistakes_of(source, problem))
    version = answer.get("version", step.version)
    return replace(step, version=version, warnings=warnings_of(source, answer))


def _call(api: Api, step: Step) -> Any:
    match step.action:
        case "create":
            return api.post("templates", document={"id": step.id, **step.document})
        case "update":
            return api.put("templates", step.id, document=step.document)
        case "publish":
            return api.post("templates", step.id, "publish", document={"version": step.version})
        case "refresh" | "archive":
            return api.post("templates", step.id, step.action, document={})
    return None


def _share(api: Api, step: Step) -> Any:
    address = (BRAND,) if step.kind == "brand" else (f"{step.kind}s", step.id)
    if step.action == "remove":
        return api.send("DELETE", *address)
    return api.put(*address, document=step.document)
