"""Where the mail server is and how to talk to it, from one URL."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit


class Tls(StrEnum):
    """When the connection is encrypted."""

    IMPLICIT = "implicit"
    REQUIRED = "required"
    OFFERED = "offered"
    NEVER = "never"


_SCHEMES = {
    "smtp": (Tls.OFFERED, 25),
    "smtps": (Tls.IMPLICIT, 465),
    "smtp+starttls": (Tls.REQUIRED, 587),
}
_CHOICES = {"required": Tls.REQUIRED, "never": Tls.NEVER}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. The wait after the final dot is RFC 5321's: giving up early makes an `unknown`."""

    connect: float = 15.0
    greeting: float = 60.0
    command: float = 120.0
    dot: float = 600.0
    close: float = 3.0


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """A mail server, as `smtp://user:password@host:port` and its kin say it."""

    host: str
    port: int
    tls: Tls
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    lanes: int = 10
    window: int = 16
    timeouts: Timeouts = Timeouts()

    @classmethod
    def from_url(
        cls, url: str, *, lanes: int = 10, window: int = 16, timeouts: Timeouts | None = None
    ) -> "SmtpSettings":
        """Read `smtp://` (STARTTLS when offered), `smtps://` (TLS) or `smtp+starttls://` (required).

        `?tls=required|never` overrides for `smtp://`; `?ca=<file>` names a certificate authority of
        your own. Raises ValueError, whose message never holds the URL: it has a password.
        """
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES:
            raise ValueError(f"the mail server's URL must begin with one of {', '.join(_SCHEMES)}")
        tls, port = _SCHEMES[parts.scheme]
        try:
            host, port = parts.hostname, parts.port or port
        except ValueError:
            raise ValueError("the mail server's port is not a number up to 65535") from None
        if not host:
            raise ValueError("the mail server's URL names no host")
        options = parse_qs(parts.query, keep_blank_values=True)
        if unknown := options.keys() - {"tls", "ca"}:
            raise ValueError(f"the mail server's URL has unknown options: {sorted(unknown)}")
        if "tls" in options:
            tls = _choice(parts.scheme, options["tls"][-1])
        if (parts.username is None) != (parts.password is None):
            raise ValueError("the mail server's URL needs a user and a password, or neither")
        if parts.username is not None and tls is Tls.NEVER and not is_loopback(host):
            raise ValueError("a password is only sent in clear to this machine: use tls=required")
        return cls(
            host=host,
            port=port,
            tls=tls,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            ca_file=options["ca"][-1] if "ca" in options else None,
            lanes=lanes,
            window=window,
            timeouts=timeouts or Timeouts(),
        )


def _choice(scheme: str, text: str) -> Tls:
    if scheme != "smtp" or text not in _CHOICES:
        raise ValueError("tls=required and tls=never are options of smtp:// only")
    return _CHOICES[text]


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by name or address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
