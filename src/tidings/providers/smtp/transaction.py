"""One message's way through a session (RFC 5321, 3.3), pipelined where the server allows (RFC 2920)."""

from collections.abc import Sequence
from dataclasses import replace

from tidings.domain.outcomes import Outcome, Permanent
from tidings.domain.reasons import Reason
from tidings.providers.smtp import verdicts
from tidings.providers.smtp.replies import MalformedReply, Reply
from tidings.providers.smtp.session import ConnectionLost, Extensions, Session
from tidings.providers.smtp.verdicts import Stage

_CLOSING = 421
_GO_AHEAD = 354


class StaleSession(Exception):
    """A kept connection turned out to be dead before the server took anything of this message."""


class Transaction:
    """A message with its envelope; `stage` tells how far it came, whatever ended it.

    sender, recipient, copies: addresses in wire form. content: the message, its lines ended by CRLF. The recipient
    decides: without them nothing is sent, while a copy that the server refuses is left out, and counted in the detail.
    """

    __slots__ = (
        "_content",
        "_copies",
        "_international",
        "_left_out",
        "_recipient",
        "_refusal",
        "_sender",
        "message_id",
        "stage",
    )

    def __init__(
        self,
        sender: str,
        recipient: str,
        content: bytes,
        message_id: str,
        copies: Sequence[str] = (),
    ) -> None:
        self.stage = Stage.WAITING
        self.message_id = message_id
        self._sender = sender
        self._recipient = recipient
        self._copies = copies
        self._left_out = 0
        self._content = content
        # Whether an address, in the envelope or a header, is not ASCII; all else is (see mime).
        self._international = not (
            content.isascii()
            and sender.isascii()
            and recipient.isascii()
            and all(map(str.isascii, copies))
        )
        self._refusal: Outcome | None = None

    async def run(self, session: Session, follower: "Transaction | None" = None) -> Outcome:
        """Send it. Raises StaleSession where a fresh connection should be tried instead.

        follower: the next message for this session. Where the server pipelines, its envelope leaves
        right behind this one's content, which RFC 2920, 3.1 allows; nothing of it can be taken by
        the server before its own content is sent.

        The session is left busy, and so not fit for another message, wherever it is not certain
        that both sides agree on what comes next; a cancellation leaves it so, too.
        """
        unfit = self._unfit(session.extensions)
        if unfit is not None:
            return unfit
        try:
            return await self._exchange(session, follower)
        except ConnectionLost:
            if self._untouched(session):
                raise StaleSession from None
            return verdicts.lost(self.stage)
        except MalformedReply:
            return verdicts.malformed(self.stage)

    def timed_out(self) -> Outcome:
        """What is known when the time is over."""
        return self._refusal or verdicts.timed_out(self.stage)

    def _unfit(self, offered: Extensions) -> Permanent | None:
        """Why this server cannot take it, known without asking."""
        if self._international and not offered.smtputf8:
            return Permanent(Reason.ADDRESS_INVALID, detail="server does not offer SMTPUTF8")
        if offered.size is not None and len(self._content) > offered.size:
            return Permanent(Reason.MESSAGE_TOO_LARGE, detail=f"server takes {offered.size} bytes")
        return None

    def _untouched(self, session: Session) -> bool:
        """Whether a kept session failed before the server answered anything about this message."""
        return not session.fresh and self.stage in (Stage.RSET, Stage.MAIL)

    async def _exchange(self, session: Session, follower: "Transaction | None") -> Outcome:
        refusal = await self._open(session)
        if refusal is not None:
            return refusal
        session.must_be_quiet()
        session.write(stuffed(self._content) + self._announce(session, follower))
        self.stage = Stage.CONTENT
        answer = await session.reply()
        if not answer.positive:
            return await self._refused(session, answer)
        session.fresh = False
        session.busy = session.announced is not None
        accepted = verdicts.accepted(answer, self.message_id)
        if not self._left_out:
            return accepted
        refused = f"{self._left_out} of {len(self._copies)} copies refused"
        return replace(accepted, detail=f"{accepted.detail}; {refused}")

    async def _open(self, session: Session) -> Outcome | None:
        """Get leave to send the content; why it was not given, else."""
        session.busy = True
        commands = self._commands(session)
        announced, session.announced = session.announced is self, None
        pipelining = session.extensions.pipelining
        session.needs_reset = False
        self._left_out = 0
        if pipelining and not announced:
            session.write(b"".join(line for _, line in commands))
        for position, (stage, line) in enumerate(commands, start=1):
            self.stage = stage
            if not pipelining:
                session.write(line)
            answer = await session.reply()
            if stage is Stage.COPY and answer.code >= 400 and answer.code != _CLOSING:
                self._left_out += 1
            elif not (answer.code == _GO_AHEAD if stage is Stage.DATA else answer.positive):
                unread = len(commands) - position if pipelining else 0
                return await self._refused(session, answer, unread)
        session.doubtful = False
        return None

    def _announce(self, session: Session, follower: "Transaction | None") -> bytes:
        """The follower's envelope, where the server takes it now."""
        offered = session.extensions
        if follower is None or not offered.pipelining or follower._unfit(offered) is not None:
            return b""
        session.announced = follower
        return b"".join(line for _, line in follower._commands(session))

    def _commands(self, session: Session) -> list[tuple[Stage, bytes]]:
        """What comes before the content. RSET: what a refused message left would be in the way."""
        offered = session.extensions
        size = f" SIZE={len(self._content)}" if offered.takes_size else ""
        body = " BODY=8BITMIME" if self._international and offered.eight_bit else ""
        utf8 = " SMTPUTF8" if self._international else ""
        commands = [
            (Stage.MAIL, f"MAIL FROM:<{self._sender}>{size}{body}{utf8}\r\n".encode()),
            (Stage.RCPT, f"RCPT TO:<{self._recipient}>\r\n".encode()),
            *((Stage.COPY, f"RCPT TO:<{copy}>\r\n".encode()) for copy in self._copies),
            (Stage.DATA, b"DATA\r\n"),
        ]
        return [(Stage.RSET, b"RSET\r\n"), *commands] if session.needs_reset else commands

    async def _refused(self, session: Session, answer: Reply, unread: int = 0) -> Outcome:
        """unread: replies to later commands that are still to come."""
        if answer.code < 400:
            return verdicts.malformed(self.stage)
        closing = answer.code == _CLOSING
        if self._untouched(session) and (closing or session.doubtful):
            raise StaleSession
        self._refusal = verdicts.refused(self.stage, answer)
        if session.announced is not None:
            session.fresh = False
            session.doubtful = True
        elif not closing:
            await _settle(session, unread)
        return self._refusal


async def _settle(session: Session, unread: int) -> None:
    """Make a session usable again after a refusal, where that is certain; else it stays busy."""
    answer = None
    try:
        for _ in range(unread):
            answer = await session.reply()
    except (ConnectionLost, MalformedReply):
        # The message's outcome is known already; the session stays busy and is dropped.
        return
    if answer is not None and answer.code == _GO_AHEAD:
        # DATA was granted although nobody is left to send to (RFC 2920, 3.1). Ending it with a lone
        # dot would rest on the server refusing an empty message; dropping the connection does not.
        return
    session.busy = session.fresh = session.doubtful = False
    session.needs_reset = True


def stuffed(content: bytes) -> bytes:
    """The content as it follows DATA: leading dots doubled, the end marked (RFC 5321, 4.5.2).

    A message starts with a header field, so its very first byte is no dot.
    """
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    return content + b".\r\n"
