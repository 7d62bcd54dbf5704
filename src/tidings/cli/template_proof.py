"""What the API would refuse of a plan, asked before anything is done."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tidings.cli.client import Api, ProblemError
from tidings.cli.template_locating import OF_CONTENT, mistakes_of, warnings_of
from tidings.cli.template_step import Step

_STORED = frozenset({"create", "update", "refresh"})
_TOO_LARGE = 413


def proven(api: Api, steps: Sequence[Step]) -> list[Step]:
    """The steps, those as refused that would be; each template is looked at with what the plan shares. Where something
    of that is refused, templates are not looked at."""
    done = [
        step
        if step.of_template or step.action not in _STORED
        else _asked(api, step, _shared([step]))
        for step in steps
    ]
    if any(step.action == "refused" and not step.of_template for step in done):
        return done
    changed = _shared([step for step in done if not step.of_template and step.action in _STORED])
    return [
        _asked(api, step, {**changed, "template": {"id": step.id, **step.document}})
        if step.of_template and step.action in _STORED
        else step
        for step in done
    ]


def _shared(steps: Sequence[Step]) -> dict[str, Any]:
    document: dict[str, Any] = {"layouts": {}, "partials": {}}
    for step in steps:
        if step.kind == "brand":
            document["brand"] = step.document["values"]
        else:
            document[f"{step.kind}s"][step.id] = step.document
    return document


def _asked(api: Api, step: Step, document: Mapping[str, Any]) -> Step:
    try:
        answer = api.post("template-checks", document=document)
    except ProblemError as problem:
        # With all that it shares it may be more than one request holds: then it is told when it is stored.
        if problem.status == _TOO_LARGE and step.of_template:
            return step
        if step.source is None or problem.status not in OF_CONTENT:
            raise
        mistakes = mistakes_of(step.source, problem)
        return replace(step, action="refused", mistakes=mistakes)
    return replace(step, warnings=warnings_of(step.source or Path(step.id), answer))
