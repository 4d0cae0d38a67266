"""Replies that one occurrence does not decide: counted here before they suppress or stop anything."""

from collections import OrderedDict
from dataclasses import replace
from hashlib import blake2b

from services.push.channels.base import OutcomeClass
from services.push.channels.email.replies import Stage, Verdict, classify

_REMEMBERED = 10_000
_SPAN = 1000
_LEAST = 5
_SHARE = 0.01


class Judge:
    """Turns replies into verdicts for all connections of one channel.

    An address whose domain could not be found is given up at the second such reply, the first is
    tried again. A policy refusal skips the person; when more than 1 % of the last messages (and at
    least 5) were refused so, it is our configuration. Kept in memory: a restart only counts anew.
    """

    def __init__(self) -> None:
        self._once: OrderedDict[bytes, None] = OrderedDict()
        self._answered = 0.0
        self._refused = 0.0

    def answered(self) -> None:
        """Count a message that the server took or refused."""
        self._answered += 1
        if self._answered > _SPAN:
            self._answered /= 2
            self._refused /= 2

    def verdict(self, stage: Stage, code: int, text: str, address: str) -> Verdict:
        """What the reply means for this address, by the table and by what was seen before."""
        found = classify(stage, code, text)
        self.answered()
        if found.confirm and not self._seen_before(address):
            return replace(found, outcome=OutcomeClass.RETRY_LATER)
        if found.threshold:
            self._refused += 1
            if self._refused < _LEAST or self._refused <= _SHARE * self._answered:
                return replace(found, outcome=OutcomeClass.SKIP_RECIPIENT)
        return found

    def _seen_before(self, address: str) -> bool:
        key = blake2b(address.lower().encode("utf-8", "replace"), digest_size=16).digest()
        if key in self._once:
            del self._once[key]
            return True
        self._once[key] = None
        if len(self._once) > _REMEMBERED:
            self._once.popitem(last=False)
        return False
