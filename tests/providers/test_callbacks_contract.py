"""What every provider's callbacks hold to."""

import asyncio
import copy
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.providers.callers import CALLERS, NOW_SECONDS, OLD, OURS, Caller, posted
from tidings.domain.callbacks import (
    Callbacks,
    RawCallback,
    Refused,
    UnreadableCallback,
    Verified,
)
from tidings.domain.receipts import Receipt, ReceiptType
from tidings.providers.callbacks import CALLBACKS

every = pytest.mark.parametrize("caller", CALLERS, ids=lambda one: one.name)


def verdict(callbacks: Callbacks, raw: RawCallback) -> Verified | Refused:
    return asyncio.run(callbacks.verify(raw))


def taken(callbacks: Callbacks, raw: RawCallback) -> bool:
    found = verdict(callbacks, raw)
    return isinstance(found, Verified) and found.follow is None


def read(callbacks: Callbacks, raw: RawCallback) -> Sequence[Receipt]:
    """The receipts of what can be read; each as it may be stored."""
    try:
        receipts = callbacks.receipts(raw)
    except UnreadableCallback as error:
        receipts = error.receipts
    for receipt in receipts:
        assert receipt.at.tzinfo is UTC
        assert receipt.event_id
        for one in fields(receipt):
            value = getattr(receipt, one.name)
            assert not isinstance(value, str) or "\0" not in value.encode().decode()
        assert "@" not in receipt.code + receipt.detail
    return receipts


def test_every_provider_that_calls_back_is_here() -> None:
    assert [one.name for one in CALLERS] == list(CALLBACKS)


@every
def test_each_event_is_read(caller: Caller) -> None:
    callbacks = caller.callbacks()
    for sample in caller.samples:
        raw = caller.sign(sample.document, 0, NOW_SECONDS)
        assert taken(callbacks, raw)
        [receipt] = read(callbacks, raw)
        assert sample.fits(receipt), (sample, receipt)
        if receipt.type is not ReceiptType.INBOUND and "delivery_id" not in sample.facts:
            assert str(receipt.delivery_id) == OURS


@every
def test_ids_tell_events_apart_and_know_repetitions(caller: Caller) -> None:
    callbacks = caller.callbacks()
    raws = [caller.sign(one.document, 0, NOW_SECONDS) for one in caller.samples]
    ids = [read(callbacks, raw)[0].event_id for raw in raws]
    assert len(set(ids)) == len(ids)
    later = [replace(raw, received_at=raw.received_at + 250) for raw in raws]
    assert [read(caller.callbacks(), raw)[0].event_id for raw in later] == ids
    assert taken(callbacks, later[0])


@every
def test_a_strangers_signature_is_refused(caller: Caller) -> None:
    raw = caller.sign(caller.samples[0].document, 2, NOW_SECONDS)
    assert isinstance(verdict(caller.callbacks(), raw), Refused)


@every
def test_a_missing_signature_is_refused(caller: Caller) -> None:
    raw = caller.unsigned(caller.sign(caller.samples[0].document, 0, NOW_SECONDS))
    assert isinstance(verdict(caller.callbacks(), raw), Refused)


@every
def test_both_secrets_of_a_rotation_are_taken(caller: Caller) -> None:
    raw = caller.sign(caller.samples[0].document, 1, NOW_SECONDS)
    assert taken(caller.callbacks(), raw)


@every
def test_without_anything_to_verify_with_nothing_is_taken(caller: Caller) -> None:
    callbacks = caller.callbacks(None, **caller.without_secrets)
    raw = caller.sign(caller.samples[0].document, 0, NOW_SECONDS)
    assert isinstance(verdict(callbacks, raw), Refused)


@every
def test_what_was_changed_on_the_way_is_refused(caller: Caller) -> None:
    raw = caller.sign(caller.samples[1].document, 0, NOW_SECONDS)
    before, zero, after = raw.body.rpartition(b"0")
    assert zero
    changed = replace(raw, body=before + b"1" + after)
    expected = Refused if caller.covers_body else Verified
    assert isinstance(verdict(caller.callbacks(), changed), expected)


@every
def test_an_old_signature_is_refused_where_it_has_an_age(caller: Caller) -> None:
    for at in (OLD, NOW_SECONDS + 3600):
        raw = caller.sign(caller.samples[0].document, 0, at)
        expected = Refused if caller.ages else Verified
        assert isinstance(verdict(caller.callbacks(), raw), expected)


@every
def test_an_event_without_a_word_is_kept_with_its_name(caller: Caller) -> None:
    callbacks = caller.callbacks()
    [receipt] = read(callbacks, caller.sign(caller.unknown, 0, NOW_SECONDS))
    assert receipt.type is ReceiptType.OTHER
    assert receipt.code in str(caller.unknown.values())
    assert receipt.code


@every
def test_an_event_of_a_message_that_is_not_ours_is_read(caller: Caller) -> None:
    callbacks = caller.callbacks()
    raw = caller.sign(caller.foreign, 0, NOW_SECONDS)
    assert taken(callbacks, raw)
    [receipt] = read(callbacks, raw)
    assert receipt.delivery_id is None
    assert receipt.provider_message_id


BODIES = (
    b"",
    b"[",
    b"null",
    b'"x"',
    b"1e999",
    b"[1]",
    b"[[]]",
    b"{}",
    b"\xff\xfe",
    b"a=1&a=2&" * 5000,
    b"[" * 100_000,
    b'{"Type": "Notification"}',
    b'{"Type": "Notification", "Message": "[]"}',
    b'{"event-data": 5}',
    b'--x\r\nContent-Disposition: form-data; name="from"\r\n\r\n',
)


@every
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "\xff",
    ],
)
def test_what_is_malformed_is_unreadable_and_nothing_worse(caller: Caller, kind: str) -> None:
    callbacks = caller.callbacks()
    raw = caller.sign(caller.samples[0].document, 0, NOW_SECONDS)
    for body in BODIES:
        for headers in ({**raw.headers, "content-type": kind}, {}):
            called = posted(body, headers)
            assert isinstance(verdict(callbacks, called), Verified | Refused)
            read(callbacks, called)


@every
def test_a_large_callback_is_read(caller: Caller) -> None:
    sample = caller.samples[0]
    document: Any = {**sample.document, "padding": "x" * 1_000_000}
    many = [{**document, "padding": "x", "sg_event_id": str(n)} for n in range(3000)]
    raw = caller.sign(many if caller.batch else document, 0, NOW_SECONDS)
    assert taken(caller.callbacks(), raw)
    receipts = read(caller.callbacks(), raw)
    assert len({one.event_id for one in receipts}) == (3000 if caller.batch else 1)
    assert all(sample.fits(one) for one in receipts)


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(
        ["\0", OURS, "1e400", "9" * 30, "-1", "0001-01-01", "9999-12-31T23:59:59-23:59"]
    ),
)
anything = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


def spoilt(document: Any, data: st.DataObject) -> Any:
    """With something else in one of its places."""
    if isinstance(document, dict) and document and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(document)))
        if data.draw(st.integers(0, 9)) == 0:
            del document[name]
        else:
            document[name] = spoilt(document[name], data)
        return document
    return data.draw(anything)


@every
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_fields_of_any_type_lose_no_more_than_themselves(
    caller: Caller, data: st.DataObject
) -> None:
    sample = data.draw(st.sampled_from(caller.samples))
    document = copy.deepcopy(dict(sample.document))
    for _ in range(data.draw(st.integers(1, 3))):
        document = spoilt(document, data)
        if not isinstance(document, dict):
            break
    callbacks = caller.callbacks()
    raw = caller.sign(document, 0, NOW_SECONDS)
    assert isinstance(verdict(callbacks, raw), Verified | Refused)
    read(callbacks, raw)


@every
@settings(max_examples=60, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST"]),
    url=st.one_of(
        st.text(), st.sampled_from(["https://[", "https://a:x/", "https://a/?b=%00%ff&messageId=1"])
    ),
    values=st.lists(st.text(), min_size=8, max_size=8),
    body=st.binary(),
)
def test_requests_of_any_kind_are_refused_and_nothing_worse(
    caller: Caller, method: str, url: str, values: list[str], body: bytes
) -> None:
    names = caller.sign(caller.samples[0].document, 0, NOW_SECONDS).headers
    headers = dict(zip(names, values, strict=False))
    raw = RawCallback(method, url, headers, body, float(NOW_SECONDS))
    assert isinstance(verdict(caller.callbacks(), raw), Refused)
    read(caller.callbacks(), raw)
