"""Push messages through Firebase's HTTP v1 API: one a call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent
from tidings.domain.provider import Account
from tidings.domain.push import FCM
from tidings.domain.reasons import Reason
from tidings.providers.bearing import BearingHttp
from tidings.providers.fcm.body import body, shown
from tidings.providers.fcm.signing_in import AccessTokens, ServiceAccount, read_service_account
from tidings.providers.fcm.verdicts import APPLE_OR_BROWSER, TABLE
from tidings.providers.http import Answer, Http, retry_after
from tidings.providers.notices import Notice, read_notice
from tidings.providers.refusals import UNREADABLE
from tidings.providers.vendor import Call, Probe, VendorProvider, document, one_each

_LARGEST = 4096
_HEADERS = {"content-type": "application/json"}


class FcmApi:
    def __init__(self, account: Account, owner: ServiceAccount, clock: Callable[[], float]) -> None:
        self._account = account
        self._clock = clock
        self._path = f"/v1/projects/{owner.project}/messages:send"

    def prepare(self, message: Message) -> Notice | Permanent:
        notice = read_notice(message, FCM)
        if (
            isinstance(notice, Notice)
            and len(orjson.dumps([shown(notice), notice.data, notice.options])) > _LARGEST
        ):
            return Permanent(Reason.MESSAGE_TOO_LARGE, detail=f"more than {_LARGEST} bytes")
        return notice

    def groups(self, items: Sequence[Notice]) -> Sequence[Sequence[int]]:
        return one_each(items)

    def call(self, items: Sequence[Notice]) -> Call:
        [notice] = items
        return Call(
            "POST",
            self._path,
            _HEADERS,
            orjson.dumps({"message": body(self._account, notice, self._clock())}),
        )

    def read(self, items: Sequence[Notice], answer: Answer, now: float) -> Sequence[Outcome]:
        found = document(answer)
        said: dict[str, Any] = found if isinstance(found, dict) else {}
        if answer.status != 200:
            code, text = _error(said)
            return [TABLE.refusal(answer.status, code, text, retry_after(answer, now))]
        name = said.get("name")
        return [Accepted(name, detail="HTTP 200") if isinstance(name, str) else UNREADABLE]

    def probe(self) -> Probe:
        """A message to a topic, which is only validated."""
        asked = {"validate_only": True, "message": {"topic": "tidings-check"}}
        return Probe(Call("POST", self._path, _HEADERS, orjson.dumps(asked)))


class FcmProvider(VendorProvider[Notice]):
    """Raises SettingsError for a service account that cannot be used."""

    def __init__(self, account: Account, http: Http, clock: Callable[[], float]) -> None:
        owner = read_service_account(account)
        self._tokens = AccessTokens(owner, http, clock)
        bearing = BearingHttp(http, self._tokens, _token_refused)
        super().__init__(account, FcmApi(account, owner, clock), bearing, clock)

    async def close(self) -> None:
        await self._tokens.close()


def _token_refused(answer: Answer) -> bool:
    if answer.status != 401:
        return False
    found = document(answer)
    code, _ = _error(found if isinstance(found, dict) else {})
    return code != APPLE_OR_BROWSER


def _error(said: Mapping[str, Any]) -> tuple[str, str]:
    """The code, and what is said to people."""
    error = said.get("error")
    if not isinstance(error, dict):
        return "", ""
    details = error.get("details")
    codes = [
        one["errorCode"]
        for one in (details if isinstance(details, list) else ())
        if isinstance(one, dict) and isinstance(one.get("errorCode"), str)
    ]
    code = next(iter(codes), error.get("status"))
    return code if isinstance(code, str) else "", str(error.get("message") or "")
