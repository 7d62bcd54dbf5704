"""The API against its own OpenAPI document: no failure, and nothing that is not documented there.

Schemathesis goes through its examples, every limit of every schema, random data valid and invalid, and
chains of requests.
"""

from collections import Counter
from typing import Any

import schemathesis
import schemathesis.engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events

from tests.api.conftest import CONTENT, Served
from tidings.store.api_keys import Role

# What the schema cannot say: that a template must exist and compile, that somebody must be reachable,
# that all the numbers in free data fit 64 bits, which five fields are a schedule that comes due,
# what an address of each channel looks like.
MEANING = (
    "POST /notifications/send",
    "POST /templates",
    "POST /template-checks",
    "PUT /templates/{template_id}",
    "POST /templates/{template_id}/preview",
    "POST /schedules",
    "PATCH /schedules/{schedule_id}",
    "PUT /segments/{segment_id}",
    "POST /filters/size",
    "POST /broadcasts",
    "PUT /brand",
    "PUT /layouts/{layout_id}",
    "PUT /partials/{partial_id}",
    "PUT /categories/{category_id}",
    "PUT /users/{user_id}/preferences",
    "PATCH /users/{user_id}/preferences",
    "POST /templates/{template_id}/test",
    "PUT /users/{user_id}",
    "PATCH /users/{user_id}",
    "GET /users",
    "POST /users/{user_id}/devices",
    "POST /suppressions",
    "POST /event-subscriptions",
    "POST /events",
    "PATCH /event-subscriptions/{subscription_id}",
)


# What more the schema cannot say here: that a filter must name something. And beside them is a route that ends with an
# id, for which it takes the word with other methods.
CHOOSING = (
    "POST /dead-letters/replay",
    "POST /events/bulk",
    "POST /dead-letters/discard",
    "POST /suppressions/bulk",
    "POST /topics/{topic_id}/subscribers/remove",
)


# Their lines are checked one by one: what is wrong with them is in the answer. And any word may be a user's id.
LINES = ("POST /users/import",)


REFUSED = [400, 401, 403, 404, 405, 409, 413]


def configuration(key: str) -> dict[str, Any]:
    any_answer = {"positive_data_acceptance": {"enabled": False}}
    any_method = {
        name: {"enabled": False} for name in ("unsupported_method", "allow_header_conformance")
    }
    return {
        "headers": {"Authorization": f"Bearer {key}"},
        "generation": {"deterministic": True, "database": "none", "max-examples": 20},
        "continue-on-failure": True,
        # With what is too long several times over, the body as a whole is.
        # A template that was just created has no version 4711: that is a 404 all the same.
        "checks": {
            "ensure_resource_availability": {"enabled": False},
            "negative_data_rejection": {"expected-statuses": REFUSED},
        },
        "operations": [
            *({"include-name": name, "checks": any_answer} for name in MEANING),
            *({"include-name": name, "checks": any_answer | any_method} for name in CHOOSING),
            *(
                {
                    "include-name": name,
                    "checks": {
                        **any_answer,
                        **any_method,
                        "negative_data_rejection": {"enabled": False},
                    },
                }
                for name in LINES
            ),
            {
                "include-name": "POST /notifications/bulk",
                # Its items are checked one by one: what is wrong with them is in the answer.
                "checks": {**any_answer, "negative_data_rejection": {"enabled": False}},
            },
        ],
    }


def test_the_api_keeps_to_its_documentation(served: Served) -> None:
    welcome = {"id": "welcome_email", "content": CONTENT}
    assert served.call("POST", "/templates", welcome).status == 201
    schema = schemathesis.openapi.from_url(
        f"{served.system.url}/openapi.json",
        config=SchemathesisConfig.from_dict(configuration(served.system.keys[Role.ADMIN])),
    )
    requests: Counter[str] = Counter()
    wrong: list[str] = []
    for event in schemathesis.engine.from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(f"{event}")
        elif isinstance(event, events.ScenarioFinished):
            wrong += _failures(event)
            for node in event.recorder.cases.values():
                requests[node.value.operation.label] += 1
    assert not wrong, "\n\n".join(dict.fromkeys(wrong))
    document = served.call("GET", "/openapi.json").body
    assert requests.keys() == {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert requests.total() > 1_000


def _failures(event: events.ScenarioFinished) -> list[str]:
    found = []
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                found.append(
                    f"{event.recorder.label}, {check.name}: {failure.title}. {failure.message}\n"
                    f"{check.failure_info.code_sample[:1_000]}"
                )
    return found
