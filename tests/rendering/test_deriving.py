"""The data that a template uses, as a schema: what fits renders, and what is required is needed."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tidings.domain.channels import Channel
from tidings.domain.contracts import Contract
from tidings.domain.reasons import Reason
from tidings.domain.samples import sample
from tidings.domain.templates import Edition
from tidings.rendering.compiled import compile_content
from tidings.rendering.context import context_of
from tidings.rendering.deriving import derived
from tidings.rendering.engine import RenderingError


def edition(body: str, **locales: str) -> Edition:
    return Edition(
        name="n",
        category="c",
        on_unknown="hold",
        content={Channel.SMS: {"body": body}},
        locales={tag: {Channel.SMS: {"body": text}} for tag, text in locales.items()},
    )


def schema(body: str) -> dict[str, Any]:
    found: dict[str, Any] = derived(edition(body))
    assert found.pop("$schema") == "https://json-schema.org/draft/2020-12/schema"
    assert found.pop("type") == "object"
    return found


def required(found: Any, path: str = "") -> set[str]:
    """The paths of all that is required."""
    names: set[str] = set()
    for name, one in found.get("properties", {}).items():
        if name in found.get("required", ()):
            names.add(f"{path}{name}")
        names |= required(one, f"{path}{name}.") | required(
            one.get("items", {}), f"{path}{name}[]."
        )
    return names


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{{ a }} {{ data.b }} {{ data['c d'] }}", {"a", "b", "c d"}),
        ("{{ order.total | money('EUR') }}", {"order", "order.total"}),
        ("{{ a | default('x') }}{{ b.c | default(1) }}", {"b"}),
        ("{% if a is defined %}{{ a }}{% endif %}", set()),
        # with strict variables what is only asked for its truth must be there, too
        ("{% if a %}{{ b }}{% endif %}", {"a"}),
        (
            "{% for one in items %}{{ one.name }}{{ tax }}{% endfor %}",
            {"items", "items[].name", "tax"},
        ),
        ("{% for one in a %}{{ one }}{% else %}{{ nothing }}{% endfor %}", {"a"}),
        ("{% for k, v in a.items() %}{{ k }}{{ v }}{% endfor %}", {"a"}),
        ("{% for one in a | sort(attribute='x') %}{{ one.x }}{% endfor %}", {"a", "a[].x"}),
        ("{{ items[0].name }}", {"items", "items[].name"}),
        ("{% set t = a.b %}{{ t.c }}", {"a", "a.b", "a.b.c"}),
        ("{% macro m(x) %}{{ x }}{% endmacro %}{{ m(a) }}", {"a"}),
        ("{{ a if b else c }}", {"b"}),
        ("{{ recipient.locale }}{{ range(3) | join }}{{ unsubscribe_url }}", set()),
    ],
)
def test_what_is_required(body: str, expected: set[str]) -> None:
    assert required(schema(body)) == expected


def test_types_follow_the_use() -> None:
    found = schema(
        "{{ a | money('EUR') }}{{ b | date }}{{ c }}{% for d in e %}{% endfor %}{% if f.g %}{% endif %}"
    )
    properties = found["properties"]
    assert properties["a"] == {"type": ["number", "string"]}
    assert properties["b"]["examples"]
    assert properties["c"] == {"type": ["boolean", "null", "number", "string"]}
    assert properties["e"] == {"type": "array"}
    assert properties["f"] == {"type": "object", "required": ["g"], "properties": {"g": {}}}


def test_all_languages_count() -> None:
    found = derived(edition("{{ a }}", de="{{ b }}"))
    assert found["required"] == ["a", "b"]


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
PIECES = st.one_of(
    PATHS.map(lambda path: f"{{{{ v_{path} }}}}"),
    PATHS.map(lambda path: f"{{{{ m_{path} | money('EUR') }}}}"),
    PATHS.map(lambda path: f"{{{{ t_{path} | date }}}}"),
    PATHS.map(lambda path: f"{{{{ d_{path} | default('x') }}}}"),
    st.tuples(PATHS, NAMES).map(
        lambda two: f"{{% for one in l_{two[0]} %}}{{{{ one.{two[1]} }}}}{{% endfor %}}"
    ),
    PATHS.map(lambda path: f"{{% if i_{path} %}}x{{% endif %}}"),
)


def conflicting(pieces: list[str]) -> bool:
    """Whether a name is used both as a value and as something with members."""
    paths = [found[0] for piece in pieces if (found := re.search(r"[a-z]_[abc.]+", piece))]
    return any(one != other and other.startswith(f"{one}.") for one in paths for other in paths)


def rendered(body: str, data: dict[str, Any]) -> RenderingError | None:
    reader = {"user_id": None, "locale": "en", "timezone": "UTC"}
    try:
        compile_content("t", {Channel.SMS: {"body": body}})[Channel.SMS](context_of(data, reader))
    except RenderingError as error:
        return error
    return None


def owners(value: Any, shape: Any) -> list[tuple[dict[str, Any], str]]:
    """Each required member of each object in the data."""
    found: list[tuple[dict[str, Any], str]] = []
    if isinstance(value, dict):
        found += [(value, name) for name in shape.get("required", ())]
        for name, member in value.items():
            found += owners(member, shape.get("properties", {}).get(name, {}))
    elif isinstance(value, list):
        for member in value:
            found += owners(member, shape.get("items", {}))
    return found


@given(st.lists(PIECES, min_size=1, max_size=5), st.data())
def test_what_fits_renders_and_what_is_required_is_needed(pieces: list[str], data: Any) -> None:
    assume(not conflicting(pieces))
    body = " ".join(pieces)
    found = derived(edition(body))
    contract = Contract.declared(found)  # what is derived can be declared
    whole = sample(found, whole=True)
    assert not contract.mismatches(whole)
    failed = rendered(body, whole)
    assert failed is None or failed.reason is not Reason.UNDEFINED_VARIABLE, failed
    needed = owners(whole, found)
    if not needed:
        return
    owner, name = data.draw(st.sampled_from(needed))
    del owner[name]
    assert contract.mismatches(whole)
    failed = rendered(body, whole)
    assert failed is not None
    # a filter for times takes what is missing for no time
    assert failed.reason in {Reason.UNDEFINED_VARIABLE, Reason.RENDERING_FAILED}
