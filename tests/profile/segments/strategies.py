"""Rules by chance, of the form that the API takes."""

from typing import Any

from hypothesis import strategies as st

from tests.profile.segments import oracle

_NASTY = [
    "' OR 1=1 --",
    "'; DROP TABLE profiles; --",
    "%",
    "_",
    "\\",
    ":name",
    "%(name)s",
    "?",
    "${x}",
    "ſ",
    "İ",
    "\u202e",
]

texts = st.one_of(
    st.sampled_from(_NASTY),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20),
)


def _field(name: str, **comparisons: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    given = st.fixed_dictionaries({}, optional=comparisons).filter(bool)
    return given.map(lambda asked: {"field": name, **asked})


def _word(name: str) -> st.SearchStrategy[Any]:
    known = [
        word
        for value in oracle.VALUES[name]
        for word in ([value] if isinstance(value, str) else value)
    ]
    return st.one_of(st.sampled_from([*known, *(w.upper() for w in known)]), texts).filter(bool)


_known = st.just(True)
_number = st.one_of(st.sampled_from([17, 18, 18.5, 40]), st.integers(-100, 100))
_date = st.sampled_from(["1999-12-31", "2000-01-01", "2005-01-01"])

leaves = st.one_of(
    *(
        _field(
            name,
            **{"is": _word(name), "in": st.lists(_word(name), min_size=1, max_size=3)},
            contains=_word(name),
            known=_known,
        )
        for name in ("city", "note")
    ),
    _field(
        "likes",
        **{"is": _word("likes"), "in": st.lists(_word("likes"), min_size=1, max_size=2)},
        known=_known,
    ),
    _field(
        "age",
        **{"is": _number, "in": st.lists(_number, min_size=1, max_size=3)},
        at_least=_number,
        at_most=_number,
        above=_number,
        below=_number,
        known=_known,
    ),
    _field("born", **{"is": _date}, at_least=_date, at_most=_date, above=_date, below=_date),
    _field("member", **{"is": st.booleans()}, known=_known),
    st.builds(lambda tag: {"tag": tag}, st.one_of(st.sampled_from(oracle.TAG_WORDS), texts)),
    st.builds(lambda bait: {"bait": bait}, st.one_of(st.sampled_from(oracle.BAITS), texts)),
    st.fixed_dictionaries(
        {"contact": st.sampled_from(oracle.CHANNELS)}, optional={"verified": st.booleans()}
    ),
    st.builds(lambda yes: {"verified": yes}, st.booleans()),
    st.fixed_dictionaries(
        {"consent": st.one_of(st.just("marketing"), texts)},
        optional={"channel": st.sampled_from(oracle.CHANNELS), "given": st.booleans()},
    ),
    st.fixed_dictionaries(
        {"engagement": st.sampled_from(oracle.KINDS)},
        optional={
            "within_days": st.sampled_from([1, 2, 30, 3650]),
            "bait": st.sampled_from([str(i) for i in oracle.BAIT_IDS]),
            "campaign": st.sampled_from([str(i) for i in oracle.CAMPAIGN_IDS]),
        },
    ),
    st.builds(lambda days: {"created_within_days": days}, st.sampled_from([1, 10, 3650])),
    st.builds(lambda leads: {"leads_at_least": leads}, st.integers(1, 4)),
    st.builds(lambda word: {"language": word}, st.one_of(st.just("en"), texts)),
)

rule_documents = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda rules: {"all": rules}),
        st.lists(inner, min_size=1, max_size=3).map(lambda rules: {"any": rules}),
        inner.map(lambda rule: {"not": rule}),
    ),
    max_leaves=6,
)
