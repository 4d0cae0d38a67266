"""The program that signs: a process of its own, because a signature takes longer than all else of a mail.

It is started as a file and imports nothing of Baitwell. On its standard input come the keys (a count, then
each as PKCS #8 behind its length), then digests of 32 octets behind the number of a key; on its standard output
go signatures behind their lengths, in that order. Numbers have one octet, lengths two. It ends with its input.
"""

import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_private_key

REQUEST = 33
_AT_ONCE = 8

Sign = Callable[[bytes], bytes]


def read_signers(source: BinaryIO) -> list[Sign]:
    """What signs, by number."""
    found = []
    for _ in range(source.read(1)[0]):
        length = int.from_bytes(source.read(2), "big")
        found.append(_signer(source.read(length)))
    return found


def _signer(der: bytes) -> Sign:
    key = load_der_private_key(der, password=None)
    if isinstance(key, Ed25519PrivateKey):
        return key.sign
    assert isinstance(key, RSAPrivateKey)
    rsa, padding, hashed = key, PKCS1v15(), Prehashed(hashes.SHA256())
    return lambda digest: rsa.sign(digest, padding, hashed)


def work(source: BinaryIO, sink: BinaryIO, at_once: int = _AT_ONCE) -> None:
    """Sign until the input ends; answers leave a few at a time, so that nobody waits for a whole batch."""
    signers = read_signers(source)
    rest = b""
    # read1 is of buffered input: what is there, not all that was asked for
    while data := source.read1(REQUEST * 1024):  # type: ignore[attr-defined]
        data = rest + data
        whole = len(data) - len(data) % REQUEST
        rest = data[whole:]
        for start in range(0, whole, REQUEST * at_once):
            answers = []
            for at in range(start, min(whole, start + REQUEST * at_once), REQUEST):
                signature = signers[data[at]](data[at + 1 : at + REQUEST])
                answers.append(len(signature).to_bytes(2, "big") + signature)
            sink.write(b"".join(answers))
            sink.flush()


def main() -> None:
    """The program."""
    # whoever started it says when it ends: by closing the input, after its last mail
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        work(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        # nobody waits for signatures any more; the interpreter would flush once again
        sys.stderr.close()


if __name__ == "__main__":
    main()
