"""Mail transactions over one session, one round trip a message where the server pipelines (RFC 2920).

The body of a message leaves in one write with MAIL, RCPT and DATA of the next. At any moment at most
one message has its final dot out (`_dotted`) and at most one has its commands out (`_begun`); the
others wait in `_queue`. What a broken connection means follows from where a message stands: dotted is
AMBIGUOUS, begun is RETRY_LATER, queued was not sent.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial

from services.push.channels.base import OutcomeClass, Outgoing, Report, Result
from services.push.channels.email.dkim.signer import Signer
from services.push.channels.email.judge import Judge
from services.push.channels.email.message import Composed, ComposeError, Composer
from services.push.channels.email.replies import Stage, masked
from services.push.channels.email.session import Extensions
from services.push.channels.email.settings import Timeouts
from services.push.channels.email.wire import Reply, Wire
from services.shared.clock import Clock

_GROUP = (Stage.MAIL, Stage.RCPT, Stage.DATA)
_USUAL = (250, 250, 250, 354)
_LONE_DOT = "lone-dot"
_NOTHING = Composed(b"", b"", b"", False, "")


@dataclass(slots=True, eq=False)
class _Flight:
    """A message from its queue to its result, and the first refusal that one of its commands met.

    It is composed when its turn comes; one that is signed when it is submitted, so that the signature
    is there by then.
    """

    message: Outgoing
    composed: Composed = _NOTHING
    signing: bool = False
    refusal: tuple[Stage, int, bytes] | None = None


class SmtpConnection:
    """One session with the mail server; see `Connection` in the port."""

    def __init__(
        self,
        wire: Wire,
        extensions: Extensions,
        composer: Composer,
        judge: Judge,
        timeouts: Timeouts,
        clock: Clock,
        report: Report,
        signer: Signer | None = None,
    ) -> None:
        self._wire = wire
        self._extensions = extensions
        self._composer = composer
        self._judge = judge
        self._timeouts = timeouts
        self._clock = clock
        self._report = report
        self._signer = signer
        self._queue: deque[_Flight] = deque()
        self._begun: _Flight | None = None
        self._dotted: _Flight | None = None
        self._expected: deque[str] = deque()
        self._out: list[bytes] = []
        self._reading = False
        self._closing = False
        self._deadline = 0.0
        self._quiet = asyncio.Event()
        self._gone = asyncio.Event()
        wire.on_replies = self._on_replies
        wire.on_lost = self._on_lost
        self._watchdog = asyncio.create_task(self._watch())
        if wire.lost is not None:
            self._on_lost(wire.lost)

    @property
    def open(self) -> bool:
        return not self._closing and not self._gone.is_set()

    def submit(self, message: Outgoing) -> None:
        if not self.open:
            self._report(Result(message.delivery_id, None, "connection-closed"))
            return
        flight = _Flight(message)
        if self._signer is not None and not self._compose(flight):
            return
        self._queue.append(flight)
        if self._signer is not None and self._signer.covers(flight.composed):
            flight.signing = True
            self._signer.sign(flight.composed, partial(self._signed, flight))
        else:
            self._go_on()

    def _signed(self, flight: _Flight, composed: Composed) -> None:
        flight.composed, flight.signing = composed, False
        self._go_on()

    def _go_on(self) -> None:
        if not self._reading and not self._gone.is_set():
            self._begin_next()
            self._flush()

    async def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._return_queue("connection-closed")
            if self._expected:
                await self._clock.wait(self._quiet, self._timeouts.close)
            if self._expected:
                self._break("close-timeout", begun=None)
            else:
                self._wire.write(b"QUIT\r\n")
                if self._wire.transport is not None:
                    self._wire.transport.close()
        if not await self._clock.wait(self._gone, self._timeouts.close):
            self._wire.abort()

    # what goes out

    def _begin_next(self) -> None:
        """Write the commands of the next message that can be sent, when the protocol allows it now."""
        if self._begun is not None or (self._expected and not self._extensions.pipelining):
            return
        while self._queue and not self._queue[0].signing and self._begun is None:
            flight = self._queue.popleft()
            if self._clock.monotonic() > flight.message.fresh_until:
                self._report(Result(flight.message.delivery_id, None, "stale"))
            elif (flight.composed is not _NOTHING or self._compose(flight)) and self._fits(flight):
                self._begin(flight)

    def _compose(self, flight: _Flight) -> bool:
        """Whether the message could be written; one that couldn't was reported."""
        try:
            flight.composed = self._composer.compose(flight.message)
        except ComposeError as error:
            self._refuse_unsent(flight.message, error.code, error.detail, recipient=error.recipient)
            return False
        return True

    def _fits(self, flight: _Flight) -> bool:
        """Whether this server takes the message; one that it doesn't was reported."""
        composed, message = flight.composed, flight.message
        limit = self._extensions.size
        if limit is not None and len(composed.raw) > limit:
            self._refuse_unsent(message, "too-large", f"the server takes {limit} octets")
            return False
        if composed.utf8 and not self._extensions.utf8:
            self._refuse_unsent(message, "smtputf8", "not offered by the server", recipient=True)
            return False
        return True

    def _refuse_unsent(
        self, message: Outgoing, code: str, detail: str, *, recipient: bool = False
    ) -> None:
        outcome = OutcomeClass.PERMANENT_RECIPIENT if recipient else OutcomeClass.PERMANENT_CONFIG
        self._report(Result(message.delivery_id, outcome, code, detail))

    def _begin(self, flight: _Flight) -> None:
        self._begun = flight
        composed = flight.composed
        options = b" SIZE=%d" % len(composed.raw) if self._extensions.sizes else b""
        if composed.utf8:
            options += b" SMTPUTF8 BODY=8BITMIME"
        mail = b"MAIL FROM:<%b>%b\r\n" % (composed.sender, options)
        if self._extensions.pipelining:
            self._out.append(mail + b"RCPT TO:<%b>\r\nDATA\r\n" % composed.recipient)
            self._expected.extend(_GROUP)
        else:
            self._put(mail, Stage.MAIL)

    def _put(self, line: bytes, stage: str) -> None:
        self._out.append(line)
        self._expected.append(stage)

    def _flush(self) -> None:
        if not self._out:
            return
        timeouts = self._timeouts
        wait = timeouts.dot if self._dotted is not None else timeouts.command
        self._deadline = self._clock.monotonic() + wait
        self._quiet.clear()
        data = b"".join(self._out)
        self._out.clear()
        self._wire.write(data)

    # what comes in

    def _on_replies(self, replies: list[Reply]) -> None:
        self._reading = True
        try:
            if len(replies) == len(self._expected) == 4 and self._went_well(replies):
                replies = []
            for code, text in replies:
                if self._gone.is_set():
                    return
                self._on_reply(code, text)
            if self._gone.is_set():
                return
            self._begin_next()
            if self._out:
                self._flush()
            elif self._expected:
                self._deadline = self._clock.monotonic() + self._timeouts.command
            else:
                self._quiet.set()
        finally:
            self._reading = False

    def _went_well(self, replies: list[Reply]) -> bool:
        """Take the answers to a body and the group behind it together, when they are the usual ones."""
        flight = self._begun
        if flight is None or self._dotted is None:
            return False
        # one dotted and one begun with four answers to come: there is nothing else that they can be
        (dot, said), (mail, _), (rcpt, _), (data, _) = replies
        if (dot, mail, rcpt, data) != _USUAL:
            return False
        self._expected.clear()
        self._on_verdict(dot, said)
        self._send_body(flight)
        return True

    def _on_reply(self, code: int, text: bytes) -> None:
        if not self._expected:
            self._break("421" if code == 421 else "unexpected-reply")
            return
        stage = self._expected.popleft()
        if stage is Stage.DOT:
            self._on_verdict(code, text)
        elif stage is Stage.DATA:
            self._on_data(code, text)
        elif stage is Stage.MAIL or stage is Stage.RCPT:
            self._on_command(stage, code, text)
        if code == 421 and not self._gone.is_set():
            if self._begun is not None and self._begun.refusal is not None:
                self._end_refused(self._begun)
            self._break("421")

    def _on_command(self, stage: Stage, code: int, text: bytes) -> None:
        flight = self._begun
        assert flight is not None
        accepted = 250 <= code < 260
        if not accepted and flight.refusal is None:
            flight.refusal = (stage, code, text)
        if self._extensions.pipelining:
            return
        if not accepted:
            self._end_refused(flight)
        elif stage is Stage.MAIL:
            self._put(b"RCPT TO:<%b>\r\n" % flight.composed.recipient, Stage.RCPT)
        else:
            self._put(b"DATA\r\n", Stage.DATA)

    def _on_data(self, code: int, text: bytes) -> None:
        flight = self._begun
        assert flight is not None
        refused_at = flight.refusal[0] if flight.refusal is not None else None
        if code == 354 and refused_at is None:
            self._send_body(flight)
        elif code == 354 and refused_at is Stage.RCPT:
            # RFC 2920, 3.1: DATA may be granted though every recipient was refused
            self._put(b".\r\n", _LONE_DOT)
            self._end_refused(flight)
        elif code == 354:
            self._end_refused(flight)
            self._break("wrong-code")
        elif code < 400 and flight.refusal is None:
            self._break("wrong-code")
        else:
            flight.refusal = flight.refusal or (Stage.DATA, code, text)
            self._end_refused(flight)

    def _send_body(self, flight: _Flight) -> None:
        if self._clock.monotonic() > flight.message.fresh_until:
            # after 354 only a cut takes the message back: a lone dot would send an empty one
            self._begun = None
            self._report(Result(flight.message.delivery_id, None, "stale"))
            self._break("stale")
            return
        self._out.append(flight.composed.raw)
        self._put(b".\r\n", Stage.DOT)
        self._begun, self._dotted = None, flight
        self._begin_next()

    def _end_refused(self, flight: _Flight) -> None:
        """Report the refusal and clear the transaction."""
        assert flight.refusal is not None
        self._begun = None
        stage, code, text = flight.refusal
        self._report_refusal(flight, stage, code, text)
        if code < 400:
            self._break("wrong-code")
        elif code != 421:
            self._put(b"RSET\r\n", Stage.RSET)

    def _on_verdict(self, code: int, text: bytes) -> None:
        flight = self._dotted
        assert flight is not None
        self._dotted = None
        if 250 <= code < 260:
            self._judge.answered()
            said = text.decode("utf-8", "replace")
            detail = masked(said, flight.message.address)
            message_id = flight.composed.message_id
            self._report(
                Result(flight.message.delivery_id, OutcomeClass.OK, "250", detail, message_id)
            )
        elif code >= 400:
            self._report_refusal(flight, Stage.DOT, code, text)
        else:
            self._dotted = flight
            self._break("wrong-code")

    def _report_refusal(self, flight: _Flight, stage: Stage, code: int, text: bytes) -> None:
        address = flight.message.address
        said = text.decode("utf-8", "replace")
        verdict = self._judge.verdict(stage, code, said, address)
        self._report(
            Result(
                flight.message.delivery_id,
                verdict.outcome,
                verdict.code,
                masked(said, address),
                flight.composed.message_id,
                verdict.retry_after,
                verdict.scope,
            )
        )

    # how it ends

    async def _watch(self) -> None:
        """Break the connection when the server is silent for too long."""
        timeouts = self._timeouts
        longest_nap = min(timeouts.command, timeouts.dot)
        while not self._gone.is_set():
            left = self._deadline - self._clock.monotonic() if self._expected else longest_nap
            if left <= 0:
                self._break("timeout")
                return
            await self._clock.sleep(min(left, longest_nap))

    def _on_lost(self, why: str) -> None:
        self._settle(why, begun=OutcomeClass.RETRY_LATER)

    def _break(self, why: str, begun: OutcomeClass | None = OutcomeClass.RETRY_LATER) -> None:
        self._settle(why, begun=begun)
        self._wire.abort()

    def _settle(self, why: str, *, begun: OutcomeClass | None) -> None:
        """Report whatever has no result yet; nothing is read or written afterwards."""
        if self._gone.is_set():
            return
        self._gone.set()
        self._watchdog.cancel()
        dotted, waiting = self._dotted, self._begun
        self._dotted = self._begun = None
        self._expected.clear()
        self._out.clear()
        self._quiet.set()
        if dotted is not None:
            self._report_cut(dotted, OutcomeClass.AMBIGUOUS, why)
        if waiting is not None:
            self._report_cut(waiting, begun, why)
        self._return_queue(why)

    def _report_cut(self, flight: _Flight, outcome: OutcomeClass | None, why: str) -> None:
        message_id = flight.composed.message_id
        self._report(Result(flight.message.delivery_id, outcome, why, provider_id=message_id))

    def _return_queue(self, why: str) -> None:
        while self._queue:
            self._report(Result(self._queue.popleft().message.delivery_id, None, why))
