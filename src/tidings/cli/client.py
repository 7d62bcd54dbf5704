"""The API, as the commands call it."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

import orjson
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import DetailedPyreqwestError, PyreqwestError
from pyreqwest.request import SyncRequestBuilder
from pyreqwest.response import SyncResponse

from tidings import __version__
from tidings.bootstrap.places import development_key_file
from tidings.cli.errors import CommandError
from tidings.settings import Settings

_CONNECT = timedelta(seconds=5)
_ANSWER = timedelta(seconds=120)
_NO_LIMIT = timedelta(days=7)
_BUSY = frozenset({429, 502, 503, 504})
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0  # seconds
_ONLY_HERE = frozenset({"127.0.0.1", "::1", "localhost"})
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on

Answer = TypeVar("Answer")


class UnreachableError(CommandError):
    """No answer, or one that says to come back later. after: seconds the API asked to wait."""

    def __init__(self, message: str, hint: str = "", after: float | None = None) -> None:
        super().__init__(message, hint)
        self.after = after


class FieldProblem(NamedTuple):
    """path: of the field. line and column: in its text, from 1; 0 where they are not told."""

    path: str
    message: str
    line: int = 0
    column: int = 0

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "FieldProblem":
        """As the API tells it, of a mistake and of a warning."""
        line, column = told.get("line") or 0, told.get("column") or 0
        message = str(told["message"]).removeprefix(f"line {line}: ")
        return cls(str(told["path"]), message, line, column)


class ProblemError(CommandError):
    """The API refused."""

    def __init__(
        self, status: int, code: str, detail: str, errors: list[FieldProblem], hint: str
    ) -> None:
        super().__init__(detail, hint)
        self.status = status
        self.code = code
        self.errors = errors


class Api:
    """One connection to the API, with a key. Every call raises ProblemError or UnreachableError."""

    def __init__(self, client: SyncClient, url: str, key: str) -> None:
        self._client = client
        self._key = key
        self.url = url

    def get(self, *path: str, **query: Any) -> Any:
        """Parameters that are None are left out."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        request = self._client.get(self._at(path)).query(given)
        return self._answer(request.bearer_auth(self._key).build().send)

    def send(
        self, method: str, *path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Any:
        """body: JSON."""
        request = self._client.request(method, self._at(path)).bearer_auth(self._key)
        request = request.headers({"content-type": "application/json", **(headers or {})})
        return self._answer(request.body_bytes(body).build().send)

    def stream(
        self, *path: str, body: Iterable[bytes], headers: Mapping[str, str], **query: Any
    ) -> Iterator[Any]:
        """Post JSON lines, and read those of the answer while they are sent. Without a limit of time."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        request = self._client.post(self._at(path)).query(given).bearer_auth(self._key)
        request = request.headers({"content-type": "application/x-ndjson", **headers})
        yield from self._read_lines(request.timeout(_NO_LIMIT).body_stream(body))

    def lines(self, *path: str) -> Iterator[Any]:
        """JSON lines, read as they come. Without a limit of time."""
        request = self._client.get(self._at(path)).bearer_auth(self._key)
        yield from self._read_lines(request.timeout(_NO_LIMIT))

    def _read_lines(self, request: SyncRequestBuilder) -> Iterator[Any]:
        try:
            with request.build_streamed() as response:
                if response.status >= 300:
                    raise _refusal(self.url, response, bytes(response.bytes()))
                yield from _lines(response)
        except PyreqwestError as error:
            raise self._unreachable(error) from None

    def post(self, *path: str, document: Any) -> Any:
        return self.send("POST", *path, body=orjson.dumps(document))

    def put(self, *path: str, document: Any) -> Any:
        return self.send("PUT", *path, body=orjson.dumps(document))

    def _at(self, path: tuple[str, ...]) -> str:
        return "/".join([self.url, *(quote(part, safe="") for part in path)])

    def _answer(self, send: Callable[[], SyncResponse]) -> Any:
        try:
            response = send()
            body = bytes(response.bytes())
        except PyreqwestError as error:
            raise self._unreachable(error) from None
        if response.status >= 300:
            raise _refusal(self.url, response, body)
        if response.status == 204:
            return None
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise CommandError(
                f"{self.url} answered something that is not Tidings' JSON.", _WHICH_URL
            ) from None

    def _unreachable(self, error: PyreqwestError) -> UnreachableError:
        causes = error.details["causes"] or [] if isinstance(error, DetailedPyreqwestError) else []
        # The class says "connect" for calls that broke later, too; the chain of causes is exact.
        if any("(Connect)" in cause["message"] for cause in causes):
            return UnreachableError(
                f"Nothing answers at {self.url}.", f"Is `tidings serve` running? {_WHICH_URL}"
            )
        return UnreachableError(
            f"The connection to {self.url} broke off before an answer came.", _WHICH_URL
        )


def _lines(response: SyncResponse) -> Iterator[Any]:
    begun = b""
    while (chunk := response.body_reader.read_chunk()) is not None:
        *ended, begun = (begun + bytes(chunk)).split(b"\n")
        yield from map(orjson.loads, ended)


_WHICH_URL = "TIDINGS_URL says where the API is."


@contextlib.contextmanager
def open_api(settings: Settings) -> Iterator[Api]:
    """The API at the configured place. Raises CommandError without a key."""
    url = api_url(settings)
    builder = SyncClientBuilder().user_agent(f"tidings-cli/{__version__}")
    builder = builder.connect_timeout(_CONNECT).timeout(_ANSWER).follow_redirects(False)
    if urlsplit(url).hostname in _ONLY_HERE:
        builder = builder.no_proxy()  # a proxy for the world cannot reach this machine's loopback
    with builder.build() as client:
        yield Api(client, url, _key(settings))


def api_url(settings: Settings) -> str:
    """The configured one, or where this machine's API listens."""
    if "url" in settings.model_fields_set:
        return settings.url.rstrip("/")
    host = settings.api.host
    reachable = "127.0.0.1" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
    return f"http://{reachable}:{settings.api.port}"


def patiently(call: Callable[[], Answer], seconds: float, waiting: Callable[[str], None]) -> Answer:
    """Call again while the API cannot be reached, for that long. Only for what may be repeated.

    waiting: told why before each wait. Raises the last UnreachableError.
    """
    began, wait = time.monotonic(), _FIRST_WAIT
    while True:
        try:
            return call()
        except UnreachableError as error:
            if time.monotonic() - began + wait > seconds:
                raise
            waiting(error.message)
            time.sleep(wait if error.after is None else min(error.after, _LONGEST_WAIT))
            wait = min(wait * 2, _LONGEST_WAIT)


def _key(settings: Settings) -> str:
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    path = development_key_file(settings)
    if settings.development:
        with contextlib.suppress(OSError, ValueError):
            return path.read_text(encoding="utf-8").strip()
    raise CommandError(
        "There is no API key.",
        "Set TIDINGS_API_KEY to a key made by `tidings key create NAME --role ROLE`."
        + (f" In development `tidings serve` makes one in {path}." if settings.development else ""),
    )


def _refusal(url: str, response: SyncResponse, body: bytes) -> CommandError:
    status = response.status
    try:
        problem = orjson.loads(body)
        code, detail = str(problem["code"]), str(problem["detail"])
        errors = [FieldProblem.of(one) for one in problem.get("errors") or ()]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        code, detail, errors = "", f"{url} answered HTTP {status}.", []
    if status in _BUSY:
        return UnreachableError(f"{url} is not ready: {detail}", after=_seconds(response))
    hints = {
        401: "TIDINGS_API_KEY must hold a key that this installation knows; `tidings key list`.",
        403: "`tidings key create NAME --role ROLE` makes a key that may.",
        500: "The log of `tidings serve` says more.",
    }
    hint = hints.get(status, "" if code else _WHICH_URL)
    return ProblemError(status, code, detail, errors, hint)


def _seconds(response: SyncResponse) -> float | None:
    given = response.get_header("retry-after") or ""
    return float(given) if given.isascii() and given.isdigit() else None
