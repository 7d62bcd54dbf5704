"""Email through SendGrid: as many in one call as share what they must share."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import orjson

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Account
from tidings.providers.http import Answer, retry_after
from tidings.providers.letters import Letter, read_letter, read_sender
from tidings.providers.sendgrid.body import fits_substitution, mail_send
from tidings.providers.sendgrid.verdicts import TABLE, blamed, errors_of, field_of, first_error
from tidings.providers.vendor import Call, Probe, document, one_each, read_token

_ACCEPTED = (200, 202)  # 200 is the sandbox mode's
_RECIPIENTS = 1000


class SendGridApi:
    """Raises SettingsError for a key or sender that cannot be used."""

    def __init__(self, account: Account) -> None:
        self._sender = read_sender(account)
        self._sandbox = account.flag("sandbox")
        self._batch = account.flag("batch")
        self._headers = {"authorization": f"Bearer {read_token(account, 'api_key')}"}

    def prepare(self, message: Message) -> Letter | Permanent | Transient:
        return read_letter(message)

    def groups(self, items: Sequence[Letter]) -> Sequence[Sequence[int]]:
        if not self._batch or len(items) == 1:
            return one_each(items)
        together: dict[Hashable, list[int]] = defaultdict(list)
        for at, letter in enumerate(items):
            together[_shared(letter) or at].append(at)
        return [part for group in together.values() for part in _parts(items, group)]

    def call(self, items: Sequence[Letter]) -> Call:
        body = orjson.dumps(mail_send(items, self._sender, sandbox=self._sandbox))
        headers = {**self._headers, "content-type": "application/json"}
        return Call("POST", "/v3/mail/send", headers, body)

    def read(self, items: Sequence[Letter], answer: Answer, now: float) -> Sequence[Outcome | None]:
        if answer.status in _ACCEPTED:
            # One id for all of a call; reports carry our own in the custom arguments.
            message_id = answer.header("x-message-id") or None
            return [Accepted(message_id, detail=f"HTTP {answer.status}")] * len(items)
        found = document(answer)
        if answer.status == 400 and len(items) > 1:
            return _without_blamed(items, found)
        code, text = first_error(found)
        wait = retry_after(answer, now)
        if wait is None and answer.status == 429:
            wait = _until_reset(answer, now)
        return [TABLE.refusal(answer.status, code, text, wait)] * len(items)

    def probe(self) -> Probe:
        return Probe(Call("GET", "/v3/scopes", self._headers))


def _shared(letter: Letter) -> Hashable:
    """What must be equal within one call; None for what goes alone."""
    if letter.content.attachments:
        return None
    by = letter.reply_to
    reply_to = None if by is None else (by.name, by.address)
    bodies = letter.content.html is not None
    if fits_substitution(letter):
        return letter.sender, reply_to, letter.tags, bodies
    return letter.sender, reply_to, letter.tags, bodies, letter.content.text, letter.content.html


def _parts(items: Sequence[Letter], group: Sequence[int]) -> Sequence[Sequence[int]]:
    """Cut where the vendor's number of recipients is reached."""
    parts: list[list[int]] = [[]]
    recipients = 0
    for at in group:
        mine = 1 + len(items[at].cc) + len(items[at].bcc)
        if parts[-1] and recipients + mine > _RECIPIENTS:
            parts.append([])
            recipients = 0
        parts[-1].append(at)
        recipients += mine
    return parts


def _without_blamed(items: Sequence[Letter], found: object) -> Sequence[Outcome | None]:
    """A 400 is for the whole call: none of it was taken, and the others go again."""
    outcomes: list[Outcome | None] = [None] * len(items)
    for error in errors_of(found):
        at = blamed(error)
        if at is not None and at < len(items):
            outcomes[at] = TABLE.refusal(400, field_of(error), str(error.get("message") or ""))
    return outcomes


def _until_reset(answer: Answer, now: float) -> float | None:
    """https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits"""
    reset = answer.header("x-ratelimit-reset")
    return max(float(reset) - now, 0.0) if reset.isdigit() and len(reset) < 12 else None
