"""Email through Mailgun: as many in one call as recipient variables allow."""

import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import Hashable, Sequence
from urllib.parse import quote

from tidings.domain.messages import Message
from tidings.domain.outcomes import Accepted, Outcome, Permanent, Transient
from tidings.domain.provider import Account
from tidings.providers.formdata import form_data
from tidings.providers.http import Answer, retry_after
from tidings.providers.letters import Letter, read_letter, read_sender
from tidings.providers.mailgun.form import fields, group_of
from tidings.providers.mailgun.verdicts import TABLE
from tidings.providers.refusals import UNREADABLE
from tidings.providers.vendor import Call, Probe, document, one_each, read_token
from tidings.settings import SettingsError

_CALL_SIZE = 8 * 2**20
"""Bytes of content in one call; the vendor takes 25 MB."""
_DOMAIN = re.compile(r"[A-Za-z0-9.-]{3,253}")
_AGAIN_AFTER = re.compile(r"again after ([0-9]{1,6}) seconds")


class MailgunApi:
    """Raises SettingsError for a key, domain or sender that cannot be used."""

    def __init__(self, account: Account) -> None:
        if not _DOMAIN.fullmatch(account.text("domain")):
            raise SettingsError(f"accounts.{account.name}.domain: not a domain")
        self._sender = read_sender(account)
        self._batch = account.flag("batch")
        self._test_mode = account.flag("test_mode")
        self._path = f"/v3/{quote(account.text('domain'))}/messages"
        credentials = b64encode(f"api:{read_token(account, 'api_key')}".encode())
        self._headers = {"authorization": f"Basic {credentials.decode('ascii')}"}

    def prepare(self, message: Message) -> Letter | Permanent | Transient:
        return read_letter(message)

    def groups(self, items: Sequence[Letter]) -> Sequence[Sequence[int]]:
        if not self._batch or len(items) == 1:
            return one_each(items)
        together: dict[Hashable, list[int]] = defaultdict(list)
        for at, letter in enumerate(items):
            together[group_of(letter) or at].append(at)
        return [part for group in together.values() for part in _parts(items, group)]

    def call(self, items: Sequence[Letter]) -> Call:
        content_type, body = form_data(fields(items, self._sender, test_mode=self._test_mode))
        return Call("POST", self._path, {**self._headers, "content-type": content_type}, body)

    def read(self, items: Sequence[Letter], answer: Answer, now: float) -> Sequence[Outcome | None]:
        found = document(answer)
        said = found if isinstance(found, dict) else {}
        if answer.status == 200:
            message_id = said.get("id")
            if not isinstance(message_id, str):
                return [UNREADABLE] * len(items)
            # One id for all of a call; reports carry our own in the variables.
            return [Accepted(message_id.strip("<>"), detail="HTTP 200")] * len(items)
        if answer.status == 400 and len(items) > 1:
            return [None] * len(items)
        text = str(said.get("message") or "")
        refusal = TABLE.refusal(answer.status, "", text, _wait(answer, text, now))
        return [refusal] * len(items)

    def probe(self) -> Probe:
        """An email without any field: the only call that a sending key may make."""
        content_type, body = form_data([("o:testmode", "yes")])
        headers = {**self._headers, "content-type": content_type}
        return Probe(Call("POST", self._path, headers, body), proves=(400,))


def _parts(items: Sequence[Letter], group: Sequence[int]) -> Sequence[Sequence[int]]:
    """Cut where the size is reached, and so that no address is twice in a part: Mailgun would send to it
    once, with the variables of one of the two."""
    parts: list[list[int]] = []
    sizes: list[int] = []
    known: list[set[str]] = []
    for at in group:
        address, size = items[at].to.address.lower(), items[at].size
        for number, addresses in enumerate(known):
            if address not in addresses and sizes[number] + size <= _CALL_SIZE:
                break
        else:
            number = len(parts)
            parts.append([])
            sizes.append(0)
            known.append(set())
        parts[number].append(at)
        sizes[number] += size
        known[number].add(address)
    return parts


def _wait(answer: Answer, text: str, now: float) -> float | None:
    found = _AGAIN_AFTER.search(text)
    return float(found[1]) if found else retry_after(answer, now)
