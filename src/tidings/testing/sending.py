"""The contract for sending: what every provider does, whatever its vendor does to it.

A provider's tests subclass SendingContract and give it a fixture named `harness`; pytest collects the
rest:

    class TestAcme(SendingContract):
        @pytest.fixture
        def harness(self) -> Harness:
            return AcmeHarness()

The harness runs the provider against a local stand-in of its vendor. What cannot happen to a provider is
declared there with its reason, and shows as skipped with that reason.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol, TypeVar
from unittest import SkipTest

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import Manifest, Provider, ProviderCheckError
from tidings.domain.reasons import Reason

T = TypeVar("T")

RETRY_AFTER = 7.0
"""Seconds that the stand-in asks to wait when it throttles."""

_GRACE = 5.0  # seconds over the account's time-out, for a busy machine
_LARGEST_READ = 32 * 2**20  # bytes; the sockets' buffers take some megabytes of an endless answer
_CALLS = 20


class Case(StrEnum):
    """What the stand-in does with a message."""

    TAKES = "takes it"
    REFUSES_FOR_NOW = "refuses it with a passing error"
    REFUSES_FOR_GOOD = "refuses it with a lasting error"
    REFUSES_ONE = "takes all messages but number 1, which it refuses with a lasting error"
    REFUSES_CREDENTIALS = "does not accept the account's credentials"
    THROTTLES = "asks to wait RETRY_AFTER seconds"
    SLOW = "reads it and answers only after the account's time-out"
    UNREACHABLE = "does not listen"
    CUT_BEFORE_READING = "cuts the connection before it has read the message"
    CUT_AFTER_READING = "cuts the connection after it has read the message"
    MALFORMED_ANSWER = "reads it and answers what the protocol does not allow"
    UNREADABLE_ANSWER = (
        "reads it and says that it is taken, in a form that is not the documented one"
    )
    HUGE_ANSWER = "reads it and answers without end"


EXPECTED: Mapping[Case, tuple[type, ...]] = {
    Case.TAKES: (Accepted,),
    Case.REFUSES_FOR_NOW: (Transient,),
    Case.REFUSES_FOR_GOOD: (Permanent,),
    Case.REFUSES_ONE: (Accepted, Permanent),
    Case.REFUSES_CREDENTIALS: (Transient,),
    Case.THROTTLES: (Transient,),
    Case.SLOW: (Unknown,),
    Case.UNREACHABLE: (Transient,),
    # Whether the stand-in had the message cannot be seen by every protocol.
    Case.CUT_BEFORE_READING: (Transient, Unknown),
    Case.CUT_AFTER_READING: (Unknown,),
    Case.MALFORMED_ANSWER: (Unknown,),
    Case.UNREADABLE_ANSWER: (Unknown,),
    # It is taken if the beginning of the answer says so.
    Case.HUGE_ANSWER: (Accepted, Unknown),
}


@dataclass(frozen=True, slots=True)
class Stand:
    """A provider before its stand-in.

    taken: the delivery ids of the messages that the stand-in has read whole, in their order.
    answered: bytes of answers that it got rid of. keys: the idempotency keys that came with the messages;
    none where the vendor takes none.
    """

    provider: Provider
    taken: Callable[[], Sequence[str]]
    answered: Callable[[], int] = field(default=lambda: 0)
    keys: Callable[[], Sequence[str]] = field(default=lambda: ())


class Harness(Protocol):
    """How the contract gets at one provider.

    not_applicable: cases that cannot happen to it, and why. secrets: texts that must not be seen in logs
    and reprs: the account's secrets, and marks inside the messages' content. Messages with different
    numbers have different delivery ids. The account's time-out may be short in the case SLOW.
    """

    @property
    def manifest(self) -> Manifest: ...

    @property
    def not_applicable(self) -> Mapping[Case, str]: ...

    @property
    def secrets(self) -> Sequence[str]: ...

    def message(self, number: int) -> Message:
        """A message that the provider can send; asked for while a stand is open."""
        ...

    def stand(self, case: Case) -> AbstractAsyncContextManager[Stand]: ...


class LogCapture(Protocol):
    """pytest's caplog."""

    @property
    def text(self) -> str: ...

    def set_level(self, level: int) -> None: ...


class OutputCapture(Protocol):
    """pytest's capfd."""

    def readouterr(self) -> Any: ...


class SendingContract:
    """The tests; each can be read as one sentence of the contract."""

    def test_takes_every_message_once(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        async def play(stand: Stand, messages: Sequence[Message]) -> Sequence[Outcome]:
            outcomes = await stand.provider.send(messages)
            assert sorted(stand.taken()) == sorted(str(m.delivery_id) for m in messages)
            return outcomes

        _outcomes(harness, Case.TAKES, play, caplog, capfd)

    def test_passing_error(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        _outcomes(harness, Case.REFUSES_FOR_NOW, _send, caplog, capfd)

    def test_lasting_error(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        _outcomes(harness, Case.REFUSES_FOR_GOOD, _send, caplog, capfd)

    def test_each_answer_belongs_to_its_message(self, harness: Harness) -> None:
        async def play(stand: Stand) -> None:
            messages = [harness.message(number) for number in range(3)]
            size = harness.manifest.batch_size
            batches = [messages[start : start + size] for start in range(0, 3, size)]
            answers = await asyncio.gather(*map(stand.provider.send, batches))
            kinds = [type(outcome) for answer in answers for outcome in answer]
            assert kinds == [Accepted, Permanent, Accepted]

        _on_stand(harness, Case.REFUSES_ONE, play)

    def test_refused_credentials_wait_for_who_can_mend_them(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        for outcome in _outcomes(harness, Case.REFUSES_CREDENTIALS, _send, caplog, capfd):
            assert outcome.reason is Reason.CREDENTIALS_REFUSED

    def test_throttled_says_for_how_long(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        for outcome in _outcomes(harness, Case.THROTTLES, _send, caplog, capfd):
            assert isinstance(outcome, Transient)
            assert outcome.reason is Reason.PROVIDER_THROTTLED
            assert outcome.retry_after == RETRY_AFTER

    def test_slow_answer_is_unknown_within_the_time_out(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        for outcome in _outcomes(harness, Case.SLOW, _send, caplog, capfd):
            assert outcome.reason is Reason.TIMED_OUT

    def test_no_connection_means_surely_not_sent(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        for outcome in _outcomes(harness, Case.UNREACHABLE, _send, caplog, capfd):
            assert outcome.reason is Reason.CONNECTION_FAILED

    def test_cut_before_the_message_was_read(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        _outcomes(harness, Case.CUT_BEFORE_READING, _send, caplog, capfd)

    def test_cut_after_the_message_was_read_is_unknown_and_not_sent_again(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        async def play(stand: Stand, messages: Sequence[Message]) -> Sequence[Outcome]:
            outcomes = await stand.provider.send(messages)
            assert sorted(stand.taken()) == sorted(str(m.delivery_id) for m in messages)
            return outcomes

        _outcomes(harness, Case.CUT_AFTER_READING, play, caplog, capfd)

    def test_malformed_answer_is_unknown(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        for outcome in _outcomes(harness, Case.MALFORMED_ANSWER, _send, caplog, capfd):
            assert outcome.reason is Reason.MALFORMED_ANSWER

    def test_unreadable_answer_is_unknown(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        for outcome in _outcomes(harness, Case.UNREADABLE_ANSWER, _send, caplog, capfd):
            assert outcome.reason is Reason.MALFORMED_ANSWER

    def test_huge_answer_does_not_fill_the_memory(
        self, harness: Harness, caplog: LogCapture, capfd: OutputCapture
    ) -> None:
        async def play(stand: Stand, messages: Sequence[Message]) -> Sequence[Outcome]:
            outcomes = await stand.provider.send(messages)
            assert stand.answered() < _LARGEST_READ * len(messages)
            return outcomes

        _outcomes(harness, Case.HUGE_ANSWER, play, caplog, capfd)

    def test_many_calls_at_once_get_an_answer_each(self, harness: Harness) -> None:
        async def play(stand: Stand) -> None:
            messages = [harness.message(number) for number in range(_CALLS)]
            answers = await asyncio.gather(*(stand.provider.send([one]) for one in messages))
            assert [[type(outcome) for outcome in answer] for answer in answers] == [
                [Accepted]
            ] * _CALLS
            assert sorted(stand.taken()) == sorted(str(one.delivery_id) for one in messages)

        _on_stand(harness, Case.TAKES, play)

    def test_another_attempt_has_the_same_id(self, harness: Harness) -> None:
        async def play(stand: Stand) -> None:
            message = harness.message(1)
            for attempt in (1, 2):
                await stand.provider.send([replace(message, attempt=attempt)])
            assert set(stand.taken()) == {str(message.delivery_id)}
            assert len(set(stand.keys())) <= 1

        _on_stand(harness, Case.TAKES, play)

    def test_each_message_has_a_key_of_its_own_where_the_vendor_takes_one(
        self, harness: Harness
    ) -> None:
        async def play(stand: Stand) -> None:
            for number in range(3):
                await stand.provider.send([harness.message(number)])
            assert len(set(stand.keys())) in (0, 3)

        _on_stand(harness, Case.TAKES, play)

    def test_check_finds_the_provider_and_sends_nothing(self, harness: Harness) -> None:
        async def play(stand: Stand) -> None:
            assert await stand.provider.check()
            assert not stand.taken()

        _on_stand(harness, Case.TAKES, play)

    def test_check_says_that_the_provider_cannot_be_reached(self, harness: Harness) -> None:
        async def play(stand: Stand) -> None:
            try:
                found = await stand.provider.check()
            except ProviderCheckError as error:
                _assert_hidden(harness.secrets, str(error))
            else:
                raise AssertionError(f"check() did not raise ProviderCheckError: {found}")

        _on_stand(harness, Case.UNREACHABLE, play)

    def test_cancelling_a_call_cancels_it(self, harness: Harness) -> None:
        async def play(stand: Stand) -> None:
            call = asyncio.ensure_future(stand.provider.send([harness.message(1)]))
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()

        _on_stand(harness, Case.SLOW, play)

    def test_close_can_be_repeated(self, harness: Harness) -> None:
        async def play(stand: Stand) -> None:
            await stand.provider.close()
            await stand.provider.close()

        _on_stand(harness, Case.TAKES, play)


Play = Callable[[Stand, Sequence[Message]], Awaitable[Sequence[Outcome]]]


async def _send(stand: Stand, messages: Sequence[Message]) -> Sequence[Outcome]:
    return await stand.provider.send(messages)


def _outcomes(
    harness: Harness, case: Case, play: Play, caplog: LogCapture, capfd: OutputCapture
) -> Sequence[Outcome]:
    """Send a batch, and hold what holds in every case: one expected outcome each, and nothing leaks."""
    messages: list[Message] = []
    shown: list[str] = []

    async def sent(stand: Stand) -> Sequence[Outcome]:
        messages.extend(map(harness.message, range(min(harness.manifest.batch_size, 3))))
        outcomes = await play(stand, messages)
        shown.extend(map(repr, (stand.provider, stand.provider.account, messages, outcomes)))
        return outcomes

    caplog.set_level(logging.DEBUG)
    outcomes = _on_stand(harness, case, sent)
    assert [isinstance(outcome, EXPECTED[case]) for outcome in outcomes] == [True] * len(
        messages
    ), outcomes
    output = capfd.readouterr()
    _assert_hidden(
        [*harness.secrets, *(message.address for message in messages)],
        *shown,
        *(outcome.detail for outcome in outcomes),
        caplog.text,
        output.out,
        output.err,
    )
    return outcomes


def _on_stand(harness: Harness, case: Case, play: Callable[[Stand], Awaitable[T]]) -> T:
    reason = harness.not_applicable.get(case)
    if reason is not None:
        raise SkipTest(f"cannot happen that the other side {case.value}: {reason}")

    async def run() -> T:
        async with harness.stand(case) as stand:
            try:
                async with asyncio.timeout(stand.provider.account.timeout + _GRACE):
                    return await play(stand)
            finally:
                await stand.provider.close()

    return asyncio.run(run())


def _assert_hidden(secrets: Sequence[str], *texts: str) -> None:
    for text in texts:
        for secret in secrets:
            assert secret not in text, "a secret, an address or content was shown"
