"""From a socket to a session that takes mail: greeting, EHLO, TLS, AUTH (RFC 5321, 3207, 4954)."""

import asyncio
import base64
import ssl
from dataclasses import dataclass
from typing import Never

from services.push.channels.base import ChannelUnavailable, OutcomeClass
from services.push.channels.email.replies import Stage, classify, masked
from services.push.channels.email.settings import SmtpSettings, Tls, is_loopback
from services.push.channels.email.wire import Reply, Wire


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the server offered after the last EHLO."""

    pipelining: bool = False
    utf8: bool = False
    starttls: bool = False
    size: int | None = None
    sizes: bool = False
    auth: frozenset[str] = frozenset()


def read_extensions(text: bytes) -> Extensions:
    """The keywords of an EHLO reply."""
    words: dict[str, list[str]] = {}
    for line in text.decode("ascii", "replace").upper().splitlines()[1:]:
        keyword, *arguments = line.replace("AUTH=", "AUTH ", 1).split()[:20] or [""]
        words.setdefault(keyword, []).extend(arguments)
    limit = words.get("SIZE", [])
    size = int(limit[0]) if limit and limit[0].isdecimal() else 0
    return Extensions(
        pipelining="PIPELINING" in words,
        utf8="SMTPUTF8" in words,
        starttls="STARTTLS" in words,
        size=size or None,
        sizes="SIZE" in words,
        auth=frozenset(words.get("AUTH", [])),
    )


class Handshake:
    """One attempt to open a session; every failure is a ChannelUnavailable with its class."""

    def __init__(self, settings: SmtpSettings, context: ssl.SSLContext, hello: str) -> None:
        self._settings = settings
        self._context = context
        self._hello = hello.encode("ascii")
        self._wire = Wire()
        self._waiting: asyncio.Future[Reply] | None = None

    async def open(self) -> tuple[Wire, Extensions]:
        """A wire after AUTH, its replies not taken by anybody. Raises ChannelUnavailable."""
        opened = False
        try:
            await self._connect()
            extensions = await self._greet()
            opened = True
        except TimeoutError:
            raise ChannelUnavailable(OutcomeClass.RETRY_LATER, "timeout") from None
        except ssl.SSLCertVerificationError as error:
            raise ChannelUnavailable(
                OutcomeClass.PERMANENT_CONFIG, "tls-certificate", error.verify_message
            ) from None
        except (OSError, EOFError) as error:
            raise ChannelUnavailable(
                OutcomeClass.RETRY_LATER, "unreachable", type(error).__name__
            ) from None
        finally:
            if not opened:
                self._wire.abort()
        self._wire.on_replies = self._wire.on_lost = None
        return self._wire, extensions

    async def _connect(self) -> None:
        settings = self._settings
        loop = asyncio.get_running_loop()
        implicit = settings.tls is Tls.IMPLICIT
        self._wire.on_replies = self._take
        self._wire.on_lost = self._lost
        async with asyncio.timeout(settings.timeouts.connect):
            await loop.create_connection(
                lambda: self._wire,
                settings.host,
                settings.port,
                ssl=self._context if implicit else None,
                server_hostname=settings.host if implicit else None,
            )

    async def _greet(self) -> Extensions:
        settings = self._settings
        async with asyncio.timeout(settings.timeouts.greeting):
            code, text = await self._read()
        if code != 220:
            self._refuse(Stage.GREETING, code, text)
        extensions = await self._ehlo()
        if settings.tls is Tls.REQUIRED or (settings.tls is Tls.OFFERED and extensions.starttls):
            await self._start_tls(extensions)
            extensions = await self._ehlo()
        if settings.user is not None and settings.password is not None:
            await self._authenticate(settings.user, settings.password, extensions)
        return extensions

    async def _ehlo(self) -> Extensions:
        code, text = await self._ask(b"EHLO " + self._hello)
        if code == 250:
            return read_extensions(text)
        if code not in {500, 502, 504, 550}:
            self._refuse(Stage.HELLO, code, text)
        code, text = await self._ask(b"HELO " + self._hello)
        if code != 250:
            self._refuse(Stage.HELLO, code, text)
        return Extensions()

    async def _start_tls(self, extensions: Extensions) -> None:
        if not extensions.starttls:
            raise ChannelUnavailable(OutcomeClass.PERMANENT_CONFIG, "tls-not-offered")
        code, text = await self._ask(b"STARTTLS")
        if code != 220:
            self._refuse(Stage.TLS, code, text)
        wire = self._wire
        # what came in clear behind the 220 could have been put there by anybody on the way
        if wire.early or not wire.replies.empty or wire.transport is None:
            raise ChannelUnavailable(OutcomeClass.RETRY_LATER, "tls-injection")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._settings.timeouts.command):
            transport = await loop.start_tls(
                wire.transport, wire, self._context, server_hostname=self._settings.host
            )
        if transport is None:
            raise EOFError
        wire.transport = transport

    async def _authenticate(self, user: str, password: str, extensions: Extensions) -> None:
        transport = self._wire.transport
        encrypted = transport is not None and transport.get_extra_info("ssl_object") is not None
        if not encrypted and not is_loopback(self._settings.host):
            raise ChannelUnavailable(OutcomeClass.PERMANENT_CONFIG, "auth-needs-tls")
        if "PLAIN" in extensions.auth:
            secret = f"\0{user}\0{password}".encode()
            code, text = await self._ask(b"AUTH PLAIN " + base64.b64encode(secret))
        elif "LOGIN" in extensions.auth:
            code, text = await self._ask(b"AUTH LOGIN")
            for word in (user, password):
                if code != 334:
                    break
                code, text = await self._ask(base64.b64encode(word.encode()))
        else:
            raise ChannelUnavailable(OutcomeClass.PERMANENT_CONFIG, "auth-not-offered")
        if code != 235:
            self._refuse(Stage.AUTH, code, text)

    async def _ask(self, line: bytes) -> Reply:
        self._wire.write(line + b"\r\n")
        async with asyncio.timeout(self._settings.timeouts.command):
            return await self._read()

    async def _read(self) -> Reply:
        wire = self._wire
        if not wire.early:
            if wire.lost is not None:
                raise EOFError
            self._waiting = asyncio.get_running_loop().create_future()
            return await self._waiting
        return wire.early.pop(0)

    def _take(self, replies: list[Reply]) -> None:
        wire = self._wire
        wire.early += replies
        if self._waiting is not None and not self._waiting.done() and wire.early:
            self._waiting.set_result(wire.early.pop(0))

    def _lost(self, why: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(EOFError(why))

    def _refuse(self, stage: Stage, code: int, text: bytes) -> Never:
        said = text.decode("utf-8", "replace")
        verdict = classify(stage, code, said)
        raise ChannelUnavailable(
            verdict.outcome,
            verdict.code,
            masked(said, self._settings.user or ""),
            verdict.retry_after,
        )
