"""Send through Apprise, in threads: one message a call, to what its URL names.

Apprise comes with the extra `chat`; the catalogue loads this module only for an account that needs it.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from apprise import Apprise, AppriseAsset, NotifyFormat, PersistentStoreMode
from apprise.plugins.base import NotifyBase

from tidings.domain.messages import Message
from tidings.domain.outcomes import Outcome, Permanent, Transient, Unknown
from tidings.domain.provider import Account, ProviderCheckError
from tidings.domain.reasons import Reason
from tidings.providers.apprise.hearing import Hearing
from tidings.providers.apprise.verdicts import outcome_of
from tidings.providers.chatting import Chat, read_chat
from tidings.settings import SettingsError

_LONGEST = 32_000  # what services take differs; each says so itself


class AppriseProvider:
    """Raises SettingsError for a `url` that Apprise does not take."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._own = account.text("url")
        self._schemas = frozenset(account.listed("schemas"))
        self._hosts = frozenset(host.lower() for host in account.listed("hosts"))
        # Nothing kept on disk, nothing of others loaded, and no redirect away from what was looked at.
        self._asset = AppriseAsset(
            storage_mode=PersistentStoreMode.MEMORY, plugin_paths=[], async_mode=False
        )
        self._hearing = Hearing.of_apprise()
        self._threads = ThreadPoolExecutor(
            int(account.number("connections")), thread_name_prefix=f"apprise-{account.name}"
        )
        if self._own and self._plugin(self._own) is None:
            raise SettingsError(f"accounts.{account.name}.url: Apprise does not take it")

    @property
    def account(self) -> Account:
        return self._account

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return await asyncio.gather(*map(self._send, messages))

    async def close(self) -> None:
        """Threads that still wait for a service end with its time-out."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self) -> str:
        """Whether the host of the account's own URL can be connected to; more would send."""
        plugin = self._plugin(self._own) if self._own else None
        if plugin is None or not _names_host(plugin):
            return "Apprise takes what is configured; it cannot be tried without sending."
        port = plugin.port or (443 if plugin.secure else 80)
        try:
            async with asyncio.timeout(self._account.timeout):
                _, writer = await asyncio.open_connection(plugin.host, port)
        except (OSError, TimeoutError):
            raise ProviderCheckError("The host of the URL cannot be connected to.") from None
        writer.close()
        return "The host of the URL can be connected to."

    async def _send(self, message: Message) -> Outcome:
        chat = read_chat(message, self._target, _LONGEST)
        if isinstance(chat, Permanent):
            return chat
        call = self._threads.submit(self._notify, chat)
        waiting = asyncio.wrap_future(call)
        done, _ = await asyncio.wait([waiting], timeout=self._account.timeout)
        if done:
            return waiting.result()
        if call.cancel():
            return Transient(Reason.PROVIDER_UNAVAILABLE, detail="every thread still waits")
        return Unknown(Reason.TIMED_OUT)

    def _target(self, address: str) -> str | None:
        """A URL that may be called: the account's own, or one that its settings allow to recipients."""
        if address == self._own:
            return address
        try:
            url = urlsplit(address)
        except ValueError:
            return None
        host = (url.hostname or "").lower()
        return address if url.scheme in self._schemas or host in self._hosts else None

    def _plugin(self, url: str) -> NotifyBase | None:
        plugin: NotifyBase | None = Apprise.instantiate(url, asset=self._asset)
        if plugin is None:
            return None
        # The plug-in never waits longer than the account does, whatever the URL says.
        plugin.socket_connect_timeout = plugin.socket_read_timeout = self._account.timeout
        plugin.redirects = False
        if url != self._own:
            plugin.verify_certificate = True
        return plugin

    def _notify(self, chat: Chat) -> Outcome:
        """In a thread."""
        with self._hearing.lines() as said:
            plugin = self._plugin(chat.target)
            if plugin is None:
                return Permanent(Reason.ADDRESS_INVALID, detail="not a URL that Apprise takes")
            if chat.target != self._own and not self._permitted(plugin, chat.target):
                return Permanent(Reason.ADDRESS_FORBIDDEN, detail="a host that is not allowed")
            try:
                taken = plugin.notify(body=chat.body, body_format=NotifyFormat.TEXT)
            except Exception as error:  # noqa: BLE001 - plug-ins raise what their libraries do
                return Unknown(Reason.PROVIDER_FAILED, detail=type(error).__name__)
        return outcome_of(taken, said)

    def _permitted(self, plugin: NotifyBase, url: str) -> bool:
        """Where the URL names a host, it is one of `hosts`: also as Apprise reads it, which is not how others do."""
        if not _names_host(plugin):
            return urlsplit(url).scheme in self._schemas
        return str(plugin.host or "").lower() in self._hosts


def _names_host(plugin: NotifyBase) -> bool:
    templates: Sequence[str] = plugin.templates
    return any("{host}" in template for template in templates)
