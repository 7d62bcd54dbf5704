"""Idempotency against a model: a dictionary from (caller, key) to the first body and its notification."""

import itertools
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.api.conftest import Served
from tidings.store.api_keys import Role

callers = st.sampled_from([Role.ADMIN, Role.SENDER])
keys = st.none() | st.sampled_from(["k", "K", "k ", "ключ", "'"])
# Two that are accepted, and two that are not.
bodies = st.sampled_from(
    [
        {"recipient": {"user_id": "ann"}},
        {"recipient": {"user_id": "ann"}, "priority": "low"},
        {"recipient": {}},
        {"recipient": {"user_id": "ann"}, "template_id": "nope"},
    ]
)
items = st.tuples(keys, bodies)
runs = itertools.count()


class Model(RuleBasedStateMachine):
    """What the API answers is what the dictionary says."""

    served: Served

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"{next(runs)} "  # every run has its own keys
        self.held: dict[tuple[Role, str], tuple[Any, str]] = {}
        self.known: set[str] = set()

    def document(self, key: str | None, body: dict[str, Any]) -> dict[str, Any]:
        found = {"template_id": "note", "data": {"name": "Ann"}, **body}
        return found if key is None else {**found, "idempotency_key": self.prefix + key}

    @rule(caller=callers, key=keys, body=bodies)
    def send(self, caller: Role, key: str | None, body: dict[str, Any]) -> None:
        document = self.document(key, body)
        answer = self.served.call("POST", "/notifications/send", document, role=caller)
        self.check(caller, key, body, answer.body)

    @rule(caller=callers, key=keys.filter(lambda key: key is None or key.isascii()), body=bodies)
    def send_with_header(self, caller: Role, key: str | None, body: dict[str, Any]) -> None:
        document = self.document(None, body)
        # A header loses the space at its end, so none is sent there.
        name = None if key is None else key.strip()
        headers = {} if name is None else {"Idempotency-Key": self.prefix + name}
        answer = self.served.call(
            "POST", "/notifications/send", document, role=caller, headers=headers
        )
        self.check(caller, name, body, answer.body)

    @rule(caller=callers, asked=st.lists(items, min_size=1, max_size=6))
    def send_bulk(self, caller: Role, asked: list[tuple[str | None, dict[str, Any]]]) -> None:
        document = {"notifications": [self.document(key, body) for key, body in asked]}
        answer = self.served.call("POST", "/notifications/bulk", document, role=caller)
        for (key, body), result in zip(asked, answer.body["results"], strict=True):
            self.check(caller, key, body, result.get("problem", result))

    def check(self, caller: Role, key: str | None, body: dict[str, Any], answer: Any) -> None:
        good = "template_id" not in body and body["recipient"]
        held = None if key is None else self.held.get((caller, key))
        if not good:
            assert answer["code"] in {"no_reachable_channel", "unknown_template"}
        elif held is None:
            assert answer["notification_id"] not in self.known
            self.known.add(answer["notification_id"])
            if key is not None:
                self.held[caller, key] = (body, answer["notification_id"])
        elif held[0] == body:
            assert answer["notification_id"] == held[1]
        else:
            assert answer["code"] == "idempotency_conflict"

    @invariant()
    def ids_are_different(self) -> None:
        held = [notification_id for _, notification_id in self.held.values()]
        assert len(set(held)) == len(held)


def test_the_api_does_as_the_model(served: Served) -> None:
    class Against(Model):
        pass

    Against.served = served
    run_state_machine_as_test(
        Against,
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
