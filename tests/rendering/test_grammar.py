"""Templates drawn from a grammar, in both engines: what is saved renders to what it says, whatever the data that its
contract allows, and what is missing is named."""

import random
import re
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from tidings.domain.channels import Channel
from tidings.domain.reasons import Reason
from tidings.domain.samples import sample
from tidings.domain.templates import Edition, EngineName
from tidings.rendering.context import context_of
from tidings.rendering.deriving import derived
from tidings.rendering.engine import Field, RenderingError
from tidings.rendering.engines import ENGINES

READER = {"user_id": "u", "locale": "en", "timezone": "UTC"}
UPPER = {"jinja": "upper", "liquid": "upcase"}
LOWER = {"jinja": "lower", "liquid": "downcase"}
LENGTH = {"jinja": "length", "liquid": "size"}
DEFAULT = {"jinja": "default('you')", "liquid": "default: 'you'"}
ASSIGN = {"jinja": "set", "liquid": "assign"}
Scope = dict[str, Any]


@dataclass(frozen=True)
class Text:
    said: str

    def source(self, engine: str) -> str:
        return self.said

    def meant(self, scope: Scope, html: bool) -> str:
        return self.said


@dataclass(frozen=True)
class Out:
    """path: of a text in the data, or a name that a loop or an assignment made."""

    path: str
    filters: tuple[str, ...]

    def expression(self, engine: str) -> str:
        words = {"upper": UPPER, "lower": LOWER, "length": LENGTH, "default": DEFAULT}
        return " | ".join([self.path, *(words[one][engine] for one in self.filters)])

    def source(self, engine: str) -> str:
        return "{{ " + self.expression(engine) + " }}"

    def value(self, scope: Scope) -> str:
        value: Any = scope
        for name in self.path.split("."):
            value = value[name]
        for one in self.filters:
            value = str(len(value)) if one == "length" else getattr(str, one, str)(value)
        return str(value)

    def meant(self, scope: Scope, html: bool) -> str:
        return str(escape(self.value(scope))) if html else self.value(scope)


@dataclass(frozen=True)
class Assign:
    name: str
    value: Out

    def source(self, engine: str) -> str:
        return f"{{% {ASSIGN[engine]} {self.name} = {self.value.expression(engine)} %}}"

    def meant(self, scope: Scope, html: bool) -> str:
        scope[self.name] = self.value.value(scope)
        return ""


@dataclass(frozen=True)
class If:
    flag: str
    then: "Block"
    otherwise: "Block"

    def source(self, engine: str) -> str:
        then, otherwise = self.then.source(engine), self.otherwise.source(engine)
        return f"{{% if {self.flag} %}}{then}{{% else %}}{otherwise}{{% endif %}}"

    def meant(self, scope: Scope, html: bool) -> str:
        chosen = self.then if scope[self.flag] else self.otherwise
        return chosen.meant(scope, html)


@dataclass(frozen=True)
class For:
    name: str
    items: str
    body: "Block"

    def source(self, engine: str) -> str:
        body = self.body.source(engine)
        return f"{{% for {self.name} in {self.items} %}}{body}{{% endfor %}}"

    def meant(self, scope: Scope, html: bool) -> str:
        return "".join(
            self.body.meant({**scope, self.name: one}, html) for one in scope[self.items]
        )


@dataclass(frozen=True)
class Block:
    parts: tuple["Text | Out | Assign | If | For", ...]

    def source(self, engine: str) -> str:
        return "".join(part.source(engine) for part in self.parts)

    def meant(self, scope: Scope, html: bool) -> str:
        return "".join(part.meant(scope, html) for part in self.parts)


# A brace could begin a tag together with what follows, and engines read a carriage return as a line feed.
said = st.text(
    st.characters(codec="utf-8", exclude_characters="{}%#\r\0", exclude_categories=["Cc"]),
    min_size=1,
)
changes = st.lists(st.sampled_from(["upper", "lower", "default"]), max_size=2).map(tuple)
filters = st.one_of(changes, changes.map(lambda chain: (*chain, "length")))


def block(names: tuple[str, ...], depth: int) -> st.SearchStrategy[Block]:
    """names: the texts that can be told here."""
    out = st.builds(Out, st.sampled_from(names), filters)
    parts: list[st.SearchStrategy[Any]] = [st.builds(Text, said), out]
    if depth:
        inner = block(names, depth - 1)
        one, other = f"one{depth}", f"other{depth}"
        parts.append(st.builds(If, st.sampled_from(["b", "c"]), inner, inner))
        looped = block((*names, one), depth - 1)
        parts.append(st.builds(For, st.just(one), st.sampled_from(["l", "m"]), looped))
        told = block((*names, other), depth - 1)
        value = st.builds(Out, st.sampled_from(names), changes)  # a number has no length
        parts.append(
            st.builds(lambda value, rest: Block((Assign(other, value), *rest.parts)), value, told)
        )
    return st.lists(st.one_of(parts), max_size=4).map(lambda found: Block(tuple(found)))


# What is empty has a default, in ways that differ between the engines.
texts = st.text(st.characters(codec="utf-8"), min_size=1)
documents = st.fixed_dictionaries(
    {
        "x": texts,
        "y": texts,
        "o": st.fixed_dictionaries({"a": texts}),
        "b": st.booleans(),
        "c": st.booleans(),
        "l": st.lists(texts, max_size=3),
        "m": st.lists(texts, max_size=3),
    }
)
programs = block(("x", "y", "o.a"), 3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("html", [False, True])
@given(program=programs, data=documents)
def test_it_says_what_is_meant(
    engine: EngineName, html: bool, program: Block, data: dict[str, Any]
) -> None:
    field = ENGINES[engine].field("email.text", program.source(engine), html=html)
    # Both engines leave out the line feed with which a file ends; here none is drawn.
    assert field.render(context_of(data, READER)) == program.meant(dict(data), html)


@pytest.mark.parametrize("engine", ENGINES)
@given(program=programs)
def test_what_is_derived_is_all_that_is_used(engine: EngineName, program: Block) -> None:
    """Data with everything that the derived schema names renders. With less of it, what is used in one branch alone may
    be missing there: a schema cannot tell which branch is taken."""
    source = program.source(engine)
    content = {Channel.SMS: {"body": source}}
    edition = Edition(name="n", category="c", on_unknown="resend", content=content, engine=engine)
    schema = derived(edition)
    data = sample(schema, whole=True)
    assert jsonschema_rs.is_valid(schema, data)
    assert isinstance(
        ENGINES[engine].field("sms.body", source).render(context_of(data, READER)), str
    )


@pytest.mark.parametrize("engine", ENGINES)
@given(program=programs, data=documents, seed=st.integers(0, 2**16))
def test_what_is_missing_is_named_or_was_not_used(
    engine: EngineName, program: Block, data: dict[str, Any], seed: int
) -> None:
    name = random.Random(seed).choice(sorted(data))
    field = ENGINES[engine].field("email.text", program.source(engine))
    rest = {key: value for key, value in data.items() if key != name}
    instead = {"b": False, "c": False, "o": {"a": "you"}}.get(name, "you")
    meant = program.meant({**rest, name: instead}, html=False)
    assert _rendered(field, rest) in {meant, (Reason.UNDEFINED_VARIABLE, name)}


def _rendered(field: Field, data: dict[str, Any]) -> str | tuple[Reason, str]:
    """What comes of it, or why nothing does and the name that is told."""
    try:
        return field.render(context_of(data, READER))
    except RenderingError as error:
        [name] = re.findall(r"\b([a-z])\b(?=[^a-z]* is |\.a )", error.detail)
        return error.reason, name
