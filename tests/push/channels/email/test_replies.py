"""The reply table, row by row, as channels' facts 1.3 and 1.4 have it."""

import re
from datetime import timedelta

import pytest

from services.push.channels.base import OutcomeClass as Class
from services.push.channels.email.judge import Judge
from services.push.channels.email.replies import (
    RULES,
    Rule,
    Stage,
    classify,
    enhanced_code,
    masked,
)

ROWS = [
    # greeting, AUTH
    (Stage.GREETING, "421 4.3.2 busy", Class.RETRY_LATER),
    (Stage.GREETING, "554 no service", Class.PERMANENT_CONFIG),
    (Stage.GREETING, "521 no mail here", Class.PERMANENT_CONFIG),
    (Stage.HELLO, "550 bad name", Class.PERMANENT_CONFIG),
    (Stage.TLS, "454 4.7.0 TLS not available", Class.RETRY_LATER),
    (Stage.AUTH, "454 4.7.0 too many logins", Class.RETRY_LATER),
    (Stage.AUTH, "530 5.7.0 must issue STARTTLS first", Class.PERMANENT_CONFIG),
    (Stage.AUTH, "534 5.7.9 application password required", Class.PERMANENT_CONFIG),
    (Stage.AUTH, "535 5.7.8 no", Class.PERMANENT_CONFIG),
    (Stage.AUTH, "538 5.7.11 encryption required", Class.PERMANENT_CONFIG),
    # MAIL
    (Stage.MAIL, "452 4.3.1 full", Class.RETRY_LATER),
    (Stage.MAIL, "451 later", Class.RETRY_LATER),
    (Stage.MAIL, "550 5.1.7 bad sender", Class.PERMANENT_CONFIG),
    (Stage.MAIL, "553 5.1.8 bad sender system", Class.PERMANENT_CONFIG),
    (Stage.MAIL, "550 5.7.1 not allowed", Class.PERMANENT_CONFIG),
    (Stage.MAIL, "550 5.1.1 who are you", Class.PERMANENT_CONFIG),
    (Stage.MAIL, "552 5.3.4 too large", Class.PERMANENT_CONFIG),
    (Stage.MAIL, "550 5.4.5 daily quota exceeded", Class.RATE_LIMITED),
    (Stage.MAIL, "556 no mail", Class.PERMANENT_CONFIG),
    # RCPT: temporary
    (Stage.RCPT, "450 busy", Class.RETRY_LATER),
    (Stage.RCPT, "451 4.7.1 greylisted", Class.RETRY_LATER),
    (Stage.RCPT, "452 4.2.2 mailbox full", Class.RETRY_LATER),
    (Stage.RCPT, "452 4.5.3 too many recipients", Class.RETRY_LATER),
    (Stage.RCPT, "450 4.2.1 receiving mail too quickly", Class.RATE_LIMITED),
    (Stage.RCPT, "421 4.7.0 unusual rate", Class.RATE_LIMITED),
    (Stage.RCPT, "421 4.7.28 unusual rate", Class.RATE_LIMITED),
    (Stage.RCPT, "421 4.4.5 congestion", Class.RETRY_LATER),
    # RCPT: the address is dead
    (Stage.RCPT, "550 5.1.0 address status", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 5.1.1 unknown", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "553 5.1.3 bad syntax", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 5.1.2 bad system", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 5.4.4 unable to route", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "551 5.1.6 moved", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 5.7.17 owner changed", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 5.7.18 owner changed", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 5.7.13 account disabled", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "556 domain takes no mail", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "556 5.1.10 null MX", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 5.2.1 inactive", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 5.6.7 no SMTPUTF8", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 No such user here", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 unknown user", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "553 mailbox does not exist", Class.PERMANENT_RECIPIENT),
    # RCPT: not dead
    (Stage.RCPT, "550 5.2.1 receiving mail at a rate that prevents", Class.RATE_LIMITED),
    (Stage.RCPT, "552 exceeded storage", Class.RETRY_LATER),
    (Stage.RCPT, "552 5.2.2 over quota", Class.SOFT),
    (Stage.RCPT, "550 mailbox is full", Class.SOFT),
    (Stage.RCPT, "550 5.2.0 mailbox status", Class.SOFT),
    (Stage.RCPT, "550 5.1.4 ambiguous", Class.SOFT),
    (Stage.RCPT, "550 5.2.4 list expansion", Class.SOFT),
    (Stage.RCPT, "550 5.1.7 bad sender", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "550 5.1.8 bad sender system", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "550 5.7.1 refused", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "554 refused", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "550 refused", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "550 5.7.26 not authenticated", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "550 5.7.27 SPF failed", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "550 5.7.27 recipient domain has a null MX", Class.PERMANENT_RECIPIENT),
    (Stage.RCPT, "550 5.7.515 not authenticated", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "503 5.5.1 sequence", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "550 5.5.3 too many recipients", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "555 parameters", Class.PERMANENT_CONFIG),
    (Stage.RCPT, "550 5.3.2 not accepting", Class.SOFT),
    (Stage.RCPT, "550 5.3.0 system", Class.SOFT),
    (Stage.RCPT, "550 5.3.5 misconfigured", Class.SOFT),
    (Stage.RCPT, "550 5.3.1 system full", Class.RETRY_LATER),
    (Stage.RCPT, "550 5.4.1 no answer", Class.RETRY_LATER),
    (Stage.RCPT, "550 5.4.7 expired", Class.RETRY_LATER),
    (Stage.RCPT, "554 5.4.6 loop", Class.PERMANENT_CONFIG),
    # Gmail's temporary codes that no wait heals
    *[
        (Stage.DOT, f"421 4.7.{last} see support", Class.PERMANENT_CONFIG)
        for last in (23, 24, 25, 26, 27, 29, 30, 31, 32, 40)
    ],
    # DATA and the final dot
    (Stage.DATA, "451 later", Class.RETRY_LATER),
    (Stage.DOT, "451 4.3.0 later", Class.RETRY_LATER),
    (Stage.DOT, "421 closing", Class.RETRY_LATER),
    (Stage.DOT, "421 4.7.28 rate", Class.RATE_LIMITED),
    (Stage.DOT, "552 5.2.2 full", Class.SOFT),
    (Stage.DOT, "552 exceeded", Class.SOFT),
    (Stage.DOT, "552 5.3.4 too large", Class.PERMANENT_CONFIG),
    (Stage.DOT, "552 5.2.3 too long", Class.PERMANENT_CONFIG),
    (Stage.DOT, "554 5.6.0 content", Class.PERMANENT_CONFIG),
    (Stage.DOT, "550 5.7.1 spam", Class.PERMANENT_CONFIG),
    (Stage.DOT, "550 5.7.8 credentials", Class.PERMANENT_CONFIG),
    (Stage.DOT, "550 5.7.14 credentials", Class.PERMANENT_CONFIG),
    (Stage.DOT, "550 5.7.28 rate", Class.RATE_LIMITED),
    (Stage.DOT, "554 no", Class.PERMANENT_CONFIG),
    (Stage.DOT, "550 5.1.1 unknown", Class.PERMANENT_RECIPIENT),
    (Stage.DOT, "550 5.4.5 daily quota exceeded", Class.RATE_LIMITED),
    (Stage.DOT, "599 what", Class.PERMANENT_CONFIG),
]


def split(reply: str) -> tuple[int, str]:
    code, _, text = reply.partition(" ")
    return int(code), text


@pytest.mark.parametrize(("stage", "reply", "outcome"), ROWS)
def test_a_reply_has_its_class(stage: Stage, reply: str, outcome: Class) -> None:
    assert classify(stage, *split(reply)).outcome is outcome


def test_every_rule_decides_some_row() -> None:
    decisive: set[Rule] = set()
    for stage, reply, _ in ROWS:
        code, text = split(reply)
        alone = [rule for rule in RULES if _decides(rule, stage, code, text)]
        decisive.add(alone[0])
    assert decisive == set(RULES)


def _decides(rule: Rule, stage: Stage, code: int, text: str) -> bool:
    enhanced = enhanced_code(text) or "-"
    if enhanced[0] not in {"-", str(code)[0]}:
        enhanced = "-"
    return (
        stage in rule.stages
        and re.fullmatch(rule.code, str(code)) is not None
        and (not rule.enhanced or re.fullmatch(rule.enhanced, enhanced) is not None)
        and (not rule.words or re.search(rule.words, text, re.IGNORECASE) is not None)
    )


class TestClassify:
    def test_the_code_names_both_numbers(self) -> None:
        assert classify(Stage.RCPT, 550, "5.1.1 unknown").code == "550 5.1.1"
        assert classify(Stage.RCPT, 450, "busy").code == "450"

    def test_the_basic_code_governs_when_the_two_disagree(self) -> None:
        assert classify(Stage.RCPT, 450, "5.1.1 unknown").outcome is Class.RETRY_LATER

    def test_too_much_mail_for_one_person_pauses_that_person(self) -> None:
        assert classify(Stage.RCPT, 450, "4.2.1 too quickly").scope == "recipient"
        assert classify(Stage.RCPT, 421, "4.7.28 rate").scope == "channel"

    def test_a_wait_that_is_named_is_kept(self) -> None:
        verdict = classify(Stage.RCPT, 451, "4.7.1 Greylisted, try again in 300 seconds")
        assert verdict.retry_after == timedelta(seconds=300)
        minutes = classify(Stage.RCPT, 451, "please retry after 5 minutes")
        assert minutes.retry_after == timedelta(minutes=5)

    def test_the_days_quota_waits_a_day(self) -> None:
        assert classify(Stage.DOT, 550, "5.4.5 quota").retry_after == timedelta(days=1)

    def test_a_code_out_of_place_is_tried_again(self) -> None:
        assert classify(Stage.MAIL, 354, "go on").outcome is Class.RETRY_LATER


class TestMasked:
    def test_addresses_and_the_local_part_are_gone(self) -> None:
        told = masked("<Ann.Lee@reader.example>: user ann.lee unknown", "ann.lee@reader.example")
        assert told == "<<address>>: user <address> unknown"

    def test_control_characters_and_length_are_bounded(self) -> None:
        assert masked("a\r\n\x1b[31mb") == "a [31mb"
        assert len(masked("x" * 5000)) == 200


class TestJudge:
    def test_a_domain_that_cannot_be_found_is_given_up_at_the_second_reply(self) -> None:
        judge = Judge()
        replies = [judge.verdict(Stage.RCPT, 550, "5.1.2 bad", "a@b.example") for _ in range(2)]
        assert [verdict.outcome for verdict in replies] == [
            Class.RETRY_LATER,
            Class.PERMANENT_RECIPIENT,
        ]

    def test_another_address_is_counted_apart(self) -> None:
        judge = Judge()
        judge.verdict(Stage.RCPT, 550, "5.1.2 bad", "a@b.example")
        other = judge.verdict(Stage.RCPT, 550, "5.1.2 bad", "c@b.example")
        assert other.outcome is Class.RETRY_LATER

    def test_few_policy_refusals_skip_the_person_and_suppress_nobody(self) -> None:
        judge = Judge()
        outcomes = {
            judge.verdict(Stage.DOT, 550, "5.7.1 spam", f"a{number}@b.example").outcome
            for number in range(4)
        }
        assert outcomes == {Class.SKIP_RECIPIENT}

    def test_many_policy_refusals_are_our_configuration(self) -> None:
        judge = Judge()
        for number in range(4):
            judge.verdict(Stage.DOT, 550, "5.7.1 spam", f"a{number}@b.example")
        fifth = judge.verdict(Stage.DOT, 550, "5.7.1 spam", "a5@b.example")
        assert fifth.outcome is Class.PERMANENT_CONFIG

    def test_under_one_in_a_hundred_stays_with_the_person(self) -> None:
        judge = Judge()
        for _ in range(900):
            judge.answered()
        for number in range(8):
            verdict = judge.verdict(Stage.DOT, 550, "5.7.1 spam", f"a{number}@b.example")
        assert verdict.outcome is Class.SKIP_RECIPIENT
