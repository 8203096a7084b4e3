"""The reply parser: the conformance corpus, and what must hold of every text."""

import json
import re
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vlbench import lenient_json
from vlbench.lenient_json import BLANKS, fold
from vlbench.parsing import parse

CORPUS = [
    json.loads(line) for line in (files("vlbench") / "vlact2.jsonl").read_text("ascii").splitlines()
]
SPEC = Path(__file__).parents[2] / "docs" / "vlact-2.md"
ACTIONS = ("stand", "hit", "+", "10")


def build(text):
    pieces = [text] if isinstance(text, str) else text
    return "".join(p if isinstance(p, str) else p["repeat"][0] * p["repeat"][1] for p in pieces)


every_case = pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["id"])


@every_case
def test_corpus_case_reads_as_written_down(case, monkeypatch):
    text = build(case["text"])
    parsed = parse(text, case["actions"])
    assert (parsed.action, parsed.status) == (case["action"], case["status"])
    assert parsed.recovered == case["recovered"]
    assert parsed.span == (tuple(case["span"]) if case["span"] else None)
    assert parsed.fields == case.get("fields", {})
    monkeypatch.setattr(lenient_json, "read_usual", lambda text, start: None)
    assert repr(parse(text, case["actions"])) == repr(parsed)


@every_case
def test_corpus_case_reads_as_written_down_under_strict(case):
    parsed = parse(build(case["text"]), case["actions"], "strict")
    assert {"action": parsed.action, "status": parsed.status} == case["strict"]
    assert not parsed.recovered
    assert (parsed.span is not None) == (parsed.status in ("ok", "unknown"))


@pytest.mark.extra  # it reads docs/, which no wheel holds
def test_corpus_ids_are_unique_and_rules_are_paragraphs_of_the_spec():
    ids = Counter(case["id"] for case in CORPUS)
    assert len(ids) == len(CORPUS) >= 500
    paragraphs = set(re.findall(r"\*\*(\d\.\d[a-k]?)\*\*", SPEC.read_text("utf-8")))
    assert {case["rule"] for case in CORPUS} - {"2.2"} <= paragraphs


def test_corpus_names_every_status_and_level():
    strict = {"ok", "unknown", "malformed", "empty"}
    assert {case["status"] for case in CORPUS} == strict | {"truncated"}
    assert {case["strict"]["status"] for case in CORPUS} == strict
    assert any(case["recovered"] for case in CORPUS)


# Properties. `texts` are arbitrary; `replies` are made of the pieces that replies are made of.

texts = st.text(st.characters(exclude_categories=()))
prose = texts.map(lambda text: text.replace("{", "").replace("}", ""))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**18) + 1, 10**18 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "b", "action"]), inner),
    max_leaves=8,
)
all_fields = st.dictionaries(texts.filter(lambda key: fold(key) != "action"), values, max_size=5)
pieces = st.sampled_from(
    [
        *"{}[],:\"'\\ \n\t",
        '"action"',
        "'action': ",
        '"Action": ',
        '"action": "hit"',
        '"stand"',
        "10",
    ]
    + ["None", "true", "1.5", "don't", '\\"', "\\'", "\\u0041", '"a": 1', '{"action": "hit"}', "{}"]
    + ['{"action": "stand",}', '{"a": {"action": 10}}', '{"action": null}', "\u00a0", "07", "x"]
)
replies = st.lists(pieces, max_size=12).map("".join)


@st.composite
def well_formed(draw):
    """A reply that `json.dumps` wrote, with its action and its other fields."""
    items = list(draw(all_fields).items())
    action = draw(st.sampled_from(ACTIONS))
    items.insert(draw(st.integers(0, len(items))), ("action", action))
    settings = {"ensure_ascii": draw(st.booleans()), "indent": draw(st.sampled_from([None, 0, 1]))}
    text = json.dumps(dict(items), **settings)
    assume(len({fold(key) for key, _ in items}) == len(items))
    return text, action, {fold(key): value for key, value in items if key != "action"}


@given(texts | replies, st.sampled_from(["standard", "strict"]))
def test_every_text_has_one_consistent_result(text, level):
    parsed = parse(text, ACTIONS, level)
    assert (parsed.action in ACTIONS) == (parsed.status == "ok")
    assert parsed.action is None or parsed.status == "ok"
    assert (parsed.status == "empty") == (not text.strip())
    if parsed.span is None:
        assert parsed.status in ("malformed", "truncated", "empty")
        assert not parsed.recovered and not parsed.fields
    else:
        assert parsed.status in ("ok", "unknown", "malformed")
    assert "action" not in parsed.fields
    assert repr(parse(text, list(ACTIONS), level)) == repr(parsed)


@given(texts | replies)
def test_span_runs_from_the_quote_of_the_action_key_to_its_value(text):
    parsed = parse(text, ACTIONS)
    if parsed.span:
        start, end = parsed.span
        field = text[start:end]
        assert field[0] in "\"'" and ":" in field and field == field.strip(BLANKS)
        alone = parse("{" + field + "}", ACTIONS)
        assert (alone.action, alone.span) == (parsed.action, (1, 1 + len(field)))


@given(well_formed())
def test_a_well_formed_reply_reads_back_at_both_levels(reply):
    text, action, fields = reply
    for level in ("standard", "strict"):
        parsed = parse(text, ACTIONS, level)
        assert (parsed.action, parsed.status, parsed.recovered) == (action, "ok", False)
        assert parsed.fields == fields or lenient_json._LATEX.search(text)
        assert text[slice(*parsed.span)] == f'"action": "{action}"'


@given(well_formed(), st.integers(min_value=1))
def test_a_well_formed_reply_cut_anywhere_is_truncated(reply, at):
    text = reply[0]
    parsed = parse(text[: 1 + at % (len(text) - 1)], ACTIONS)
    assert (parsed.action, parsed.status, parsed.span) == (None, "truncated", None)


@given(prose, replies)
def test_prose_before_a_reply_only_moves_the_span(before, text):
    alone, after = parse(text, ACTIONS), parse(before + text, ACTIONS)
    assert after.action == alone.action
    if text.strip():
        assert (after.status, after.recovered, after.fields) == (
            alone.status,
            alone.recovered,
            alone.fields,
        )
    if alone.span:
        assert after.span == (alone.span[0] + len(before), alone.span[1] + len(before))


@given(replies | well_formed().map(lambda reply: reply[0]), prose)
def test_prose_after_a_complete_reply_changes_nothing(text, after):
    assume(text.strip() and parse(text + '{"action": "probe"}', ["probe"]).status == "ok")
    assume(parse(text, ACTIONS).status != "truncated")  # a brace at the end may still be prose
    assert parse(text + after, ACTIONS) == parse(text, ACTIONS)
    fenced = parse(f"```json\n{text}\n```\n", ACTIONS)
    assert (fenced.action, fenced.status) == (
        parse(text, ACTIONS).action,
        parse(text, ACTIONS).status,
    )


@given(replies, st.sampled_from(ACTIONS))
def test_a_later_answer_overrides_all_that_was_closed_before(text, action):
    assume(parse(text + '{"action": "probe"}', ["probe"]).status == "ok")
    assert parse(text + json.dumps({"action": action}), ACTIONS).action == action


@given(replies | well_formed().map(lambda reply: reply[0]))
def test_strict_is_json_loads_where_no_key_is_repeated(text):
    repeated = []

    def hook(pairs):
        repeated.append(len({fold(key) for key, _ in pairs}) < len(pairs))
        return dict(pairs)

    try:
        loaded = json.loads(text, object_pairs_hook=hook, parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        loaded = None
    named = loaded.get("action") if isinstance(loaded, dict) and not any(repeated) else None
    parsed = parse(text, ACTIONS, "strict")
    assert parsed.action == (named if isinstance(named, str) and named in ACTIONS else None)


@given(replies | texts | well_formed().map(lambda reply: reply[0]))
def test_the_fast_path_and_the_general_path_agree(text):
    fast = parse(text, ACTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lenient_json, "read_usual", lambda text, start: None)
        assert repr(parse(text, ACTIONS)) == repr(fast)


# Linear work and independence of the interpreter.

FLOODS = ["{", '{"', "{'", '{"a":', "{[", '"', "'", "\\", '\\"', "[", "]", "}", "{}", "{a}", "{'}"]
FLOODS += [
    "{//",
    "{#",
    "{/*",
    "{\\",
    "{“",
    "{a ",
    "{a:",
    "{'a",
    "</think>",
    "{</think>",
    "<think>{",
]
FLOODS += ["a ", " ", "\n", "9", ",", ":", "don't ", '{"a":1}', '{"action":"hit"}', '"a":1,', "[],"]
HEADS = ["", "{", '{"', "{'", '{"a": ', '{"a": [', '{"action": "hit"}']


class CountingTokens:
    """The token pattern, which counts the matches asked of it and the characters they cover."""

    def __init__(self, pattern):
        self.pattern, self.matches, self.characters = pattern, 0, 0

    def finditer(self, *where):
        for match in self.pattern.finditer(*where):
            self.matches += 1
            self.characters += match.end() - match.start()
            yield match


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("unit", FLOODS)
def test_work_grows_no_faster_than_the_text(unit, head, monkeypatch):
    def work(times):
        counting = CountingTokens(
            re.compile(lenient_json._TOKEN.pattern, lenient_json._TOKEN.flags)
        )
        monkeypatch.setattr(lenient_json, "_TOKEN", counting)
        text = head + unit * times
        parse(text, ACTIONS)
        monkeypatch.setattr(lenient_json, "_TOKEN", counting.pattern)
        assert counting.characters <= 2 * len(text) + 2
        return counting.matches

    assert work(2_000) <= 2 * work(1_000) + 200


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("unit", FLOODS)
def test_a_flood_of_200_000_characters_is_read_as_a_short_one_is(unit, head):
    short, long = (parse(head + unit * (size // len(unit)), ACTIONS) for size in (2_000, 200_000))
    assert (short.action, short.status) == (long.action, long.status)


def test_reading_near_the_recursion_limit_changes_nothing():
    text = '{"action": "hit", "a": ' + "[" * 63 + "]" * 63 + "}"

    def nested(calls):
        return nested(calls - 1) if calls else parse(text, ACTIONS)

    frame, used = sys._getframe(), 0
    while frame := frame.f_back:
        used += 1
    assert nested(sys.getrecursionlimit() - used - 40) == parse(text, ACTIONS)


def test_results_share_no_mutable_state():
    parse('{"cards": [1], "action": "hit"}', ACTIONS).fields["cards"].append(2)
    parse("", ACTIONS).fields["x"] = 1
    assert parse('{"cards": [1], "action": "hit"}', ACTIONS).fields == {"cards": [1]}
    assert parse("", ACTIONS).fields == {}


@pytest.mark.parametrize("actions", [("hit", "Hit"), ["hit", " hit"], ("hit", "hit"), ("ss", "ß")])
def test_actions_that_fold_alike_are_refused(actions):
    with pytest.raises(ValueError, match="actions must differ"):
        parse("anything", actions)
