"""An account of a vendor that is reached by an HTTP API: what all of them have in common.

A vendor is an Api: how its messages become calls, and what its answers mean. This module makes the
calls, side by side, within the account's time-out, and never the same one twice.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import orjson
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyreqwest.http import Url

from tidings.domain.messages import Message
from tidings.domain.outcomes import Outcome, Permanent, Transient
from tidings.domain.provider import Account, Field, ProviderCheckError
from tidings.domain.reasons import Reason
from tidings.providers.http import Answer, Http, Request
from tidings.providers.refusals import UNREADABLE
from tidings.settings import SettingsError

Prepared = TypeVar("Prepared")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the vendor. path: after the endpoint, with its leading slash."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Probe:
    """A call that sends nothing. proves: the statuses which show that the credentials are taken. says: one of these
    is the answer then; empty for any. found: what that shows."""

    call: Call
    proves: Container[int] = range(200, 300)
    says: tuple[str, ...] = ()
    found: str = "The API answers, and takes the credentials"

    def proved_by(self, answer: Answer) -> bool:
        said = answer.body.decode("utf-8", "replace").strip()
        return answer.status in self.proves and (not self.says or said in self.says)


class Api(Protocol[Prepared]):
    """What one vendor adds. Prepared: a message as the vendor needs it, checked."""

    def prepare(self, message: Message) -> Prepared | Permanent | Transient:
        """Read a message; its outcome where the vendor need not be asked."""
        ...

    def groups(self, items: Sequence[Prepared]) -> Sequence[Sequence[int]]:
        """Which go in one call together: positions, each once."""
        ...

    def call(self, items: Sequence[Prepared]) -> Call:
        """The call that sends them."""
        ...

    def read(
        self, items: Sequence[Prepared], answer: Answer, now: float
    ) -> Sequence[Outcome | None]:
        """An outcome for each, in order. None: surely not taken, but only because of another one in the
        call; it is sent again without that. now: seconds since the epoch."""
        ...

    def probe(self) -> Probe | str:
        """What shows whether the credentials work; a text where nothing does, which says so."""
        ...


class VendorProvider(Generic[Prepared]):
    """An account in use. clock: seconds since the epoch. endpoint: where the API is, if the account does not
    say it; empty where each call does."""

    def __init__(
        self,
        account: Account,
        api: Api[Prepared],
        http: Http,
        clock: Callable[[], float] = time.time,
        endpoint: str | None = None,
    ) -> None:
        """Raises SettingsError for an endpoint that cannot be used."""
        self._account = account
        self._api = api
        self._http = http
        self._clock = clock
        self._endpoint = read_endpoint(account) if endpoint is None else endpoint

    @property
    def account(self) -> Account:
        return self._account

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        ends = asyncio.get_running_loop().time() + self._account.timeout
        if len(messages) == 1:  # most calls of most vendors
            only = self._api.prepare(messages[0])
            if isinstance(only, Permanent | Transient):
                return [only]
            return await self._send_group([only], ends)
        prepared = [self._api.prepare(message) for message in messages]
        sendable = [one for one in prepared if not isinstance(one, Permanent | Transient)]
        answers = iter(await self._send_all(sendable, ends))
        return [
            one if isinstance(one, Permanent | Transient) else next(answers) for one in prepared
        ]

    async def close(self) -> None:
        """Nothing of its own to close: the HTTP client is shared."""

    async def check(self) -> str:
        """Ask the vendor something that sends nothing."""
        probe = self._api.probe()
        if isinstance(probe, str):
            return probe
        answer = await self._http.send(self._request(probe.call, self._account.timeout))
        if not isinstance(answer, Answer):
            raise ProviderCheckError(" ".join(filter(None, [answer.reason.text, answer.detail])))
        if probe.proved_by(answer):
            return f"{probe.found} (HTTP {answer.status})."
        if answer.status in (401, 403):
            raise ProviderCheckError(f"The credentials are refused (HTTP {answer.status}).")
        raise ProviderCheckError(f"The API answers HTTP {answer.status}: check the endpoint.")

    async def _send_all(self, items: Sequence[Prepared], ends: float) -> Sequence[Outcome]:
        groups = self._api.groups(items) if items else []
        if len(groups) == 1:  # spares a task
            return await self._send_group(items, ends)
        answers = await asyncio.gather(
            *(self._send_group([items[at] for at in group], ends) for group in groups)
        )
        outcomes = {
            at: outcome
            for group, answer in zip(groups, answers, strict=True)
            for at, outcome in zip(group, answer, strict=True)
        }
        return [outcomes[at] for at in range(len(items))]

    async def _send_group(self, items: Sequence[Prepared], ends: float) -> Sequence[Outcome]:
        """One call; then those again that were only refused for another one's sake."""
        read = await self._call(items, ends)
        again = [at for at, outcome in enumerate(read) if outcome is None]
        rest: Sequence[Outcome] = ()
        if len(again) == len(items):  # which one is to blame is not said: each for itself
            singly = await asyncio.gather(*(self._call([item], ends) for item in items))
            rest = [outcome[0] or UNREADABLE for outcome in singly]
        elif again:
            rest = await self._send_group([items[at] for at in again], ends)
        resent = iter(rest)
        return [outcome or next(resent) for outcome in read]

    async def _call(self, items: Sequence[Prepared], ends: float) -> Sequence[Outcome | None]:
        left = ends - asyncio.get_running_loop().time()
        if left <= 0:
            detail = "no time left after another message of the same call was refused"
            return [Transient(Reason.PROVIDER_UNAVAILABLE, detail=detail)] * len(items)
        answer = await self._http.send(self._request(self._api.call(items), left))
        if isinstance(answer, Answer):
            return self._api.read(items, answer, self._clock())
        return [answer] * len(items)

    def _request(self, call: Call, seconds: float) -> Request:
        url = self._endpoint + call.path
        return Request(call.method, url, call.headers, call.body, seconds)


def one_each(items: Sequence[object]) -> Sequence[Sequence[int]]:
    """For vendors that take one message in a call."""
    return [[at] for at in range(len(items))]


def document(answer: Answer) -> Any:
    """The JSON of an answer; None when it is none, or not all of it was read."""
    if not answer.complete:
        return None
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None


def endpoint_field(default: str) -> Field:
    return Field(
        "endpoint",
        "Where the API is: another region of the vendor's, or a stand-in for tests. https; http only to "
        "this machine.",
        kind="url",
        default=default,
    )


CA_FILE = Field(
    "ca_file",
    "PEM file of certificate authorities to trust beside the system's, for an endpoint of your own.",
)


def read_endpoint(account: Account, otherwise: str = "") -> str:
    """The endpoint without a slash at its end. otherwise: where the account names none. Raises
    SettingsError."""
    text = account.text("endpoint") or otherwise
    url = Url(text)
    if url.scheme != "https" and not is_loopback(url.host_str or ""):
        raise SettingsError(
            f"accounts.{account.name}.endpoint: credentials go there, so it is https; http is only for "
            "this machine (127.0.0.1, ::1, localhost)"
        )
    return text.rstrip("/")


def read_authorities(account: Account) -> Sequence[bytes]:
    """The certificates of the account's own authorities, each in PEM. Raises SettingsError."""
    path = account.text(CA_FILE.name)
    try:
        found = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except OSError as error:
        wrong = error.strerror or str(error)
    except ValueError:
        wrong = "it holds no certificates in PEM"
    else:
        return [one.public_bytes(Encoding.PEM) for one in found]
    raise SettingsError(f"accounts.{account.name}.ca_file: {path} cannot be used: {wrong}")


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(account: Account, name: str) -> str:
    """A secret that goes into a header. Raises SettingsError where no header can hold it."""
    token = account.text(name).strip()
    if not token or not (token.isascii() and token.isprintable()) or " " in token:
        raise SettingsError(
            f"accounts.{account.name}.{name}: not a credential of this vendor's: it has blanks, line "
            "breaks or characters that are not ASCII, or is empty"
        )
    return token
