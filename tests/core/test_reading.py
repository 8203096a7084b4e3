"""One method reads replies, and all callers use it."""

import dataclasses

import gymnasium
import pytest
from support.env_ids import EVERY_ID

import vlbench
from vlbench import parsing
from vlbench.display.episode_view import EpisodeRenderer
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Reply
from vlbench.suites import Row
from vlbench.tasks.number_line import NumberLine

NUMBER_LINE = Row("vlbench/NumberLine-v0", {}, "number_line/2-4", 0)
LONG = "a thought that goes on and on, " * 100
"""A text longer than the caches of all environments together."""

WORDS = {"up": "+", "down": "-"}


class WordyNumberLine(NumberLine):
    """A task that accepts a spelling of its own: "up" is "+"."""

    def read(self, reply, level="standard"):
        parsed = parsing.parse(reply, ("+", "-", "up", "down"), level)
        return dataclasses.replace(parsed, action=WORDS.get(parsed.action, parsed.action))


@pytest.fixture
def wordy():
    gymnasium.register(id="toy/Wordy-v0", entry_point=WordyNumberLine)
    yield Row("toy/Wordy-v0", {}, "number_line/2-4", 0)
    del gymnasium.registry["toy/Wordy-v0"]


def recorder(row):
    return EpisodeRecorder(gymnasium.make(row.env_id, **row.kwargs), row)


def started(env_id, seed=0):
    return recorder(Row(env_id, {}, "", 0, seed=seed))


@pytest.mark.parametrize(
    ("text", "action", "strict"),
    [
        ('{"action": "up"}', "+", True),
        ('```json\n{"action": "up"}\n```', "+", False),
        ('{"action": "UP"}', "+", False),
        ('{"action": "sideways"}', "", True),
        ("no object", "", True),
    ],
)
def test_the_strict_reading_of_a_task_s_own_spelling_is_the_task_s(wordy, text, action, strict):
    turn = recorder(wordy).play(Reply(text))
    assert (turn.action, turn.strict) == (action, strict)


@pytest.mark.parametrize("thoughts", ["hm", LONG])
@pytest.mark.parametrize("env_id", [*EVERY_ID, *vlbench.RL4VLM_IDS])
def test_a_recorded_turn_is_parsed_twice_and_a_trained_one_once(monkeypatch, env_id, thoughts):
    parses = []
    prepare = parsing._prepare  # which every parse calls once, whoever asked for it

    def counting(actions):
        parses.append(actions)
        return prepare(actions)

    monkeypatch.setattr(parsing, "_prepare", counting)

    def texts(env):
        for number in range(4):
            action = env.vocabulary[number % len(env.vocabulary)]
            yield vlbench.reply(action, thoughts=f"{thoughts} {env_id} {number}")
        yield f"{thoughts} {env_id}: no object"

    recording = started(env_id)
    for text in texts(recording.env.unwrapped):
        if not recording.end:
            parses.clear()
            recording.play(Reply(text))
            assert 1 <= len(parses) <= 2
    episode = recording.episode()

    env = gymnasium.make(env_id)
    for text in texts(env.unwrapped):
        env.reset(seed=2)
        parses.clear()
        parsed = env.unwrapped.read(text + " ")  # as PPO does for its weights and monitors
        env.step(text + " ")
        assert len(parses) == 1
        assert parsed.fields.get("thoughts", thoughts).startswith(thoughts)

    parses.clear()
    EpisodeRenderer().episode(episode)
    assert len(parses) <= 2 * len(episode.turns)


def test_changing_one_result_changes_no_other():
    text = vlbench.reply("8", cards=["3", "3"], plan={"then": ["*"]})
    envs = [gymnasium.make("vlbench/Points24-v0").unwrapped for _ in range(2)]
    for env in envs:
        env.reset(seed=0)
    fields = envs[0].read(text).fields
    fields["cards"].append("8")
    fields["plan"]["then"].clear()
    fields["more"] = 1
    for env in envs:
        assert env.read(text).fields == {"cards": ["3", "3"], "plan": {"then": ["*"]}}


@pytest.mark.parametrize(
    ("text", "action", "status", "strict"),
    [
        ('{"action": "+"}', "+", "ok", "+"),
        ('{"thoughts": "x", "action": "plus +"}', "+", "ok", None),  # vlact-2: unknown
        ('{"action": "-1"}', "-", "ok", None),
        ('{"ACTION": "-"}', "-", "ok", None),
        ('so: {"action": "+"}', "+", "ok", None),
        ("I choose +", "+", "ok", None),
        ('{"action" : "+"}', None, "malformed", None),  # vlact-2: ok
        ('{"action": "+", "why": "non-trivial"}', None, "malformed", None),  # vlact-2: ok
        ('{"action": "up"}', None, "malformed", None),
        (" ", None, "empty", None),
    ],
)
def test_rl4vlm_reads_as_the_original_at_both_levels(text, action, status, strict):
    env = gymnasium.make("rl4vlm/NumberLine-v0").unwrapped
    env.reset(seed=0)
    parsed = env.read(text)
    assert (parsed.action, parsed.status, parsed.recovered) == (action, status, False)
    assert env.read(text, level="strict").action == strict
    assert started("rl4vlm/NumberLine-v0").play(Reply(text)).strict == (action == strict)


@pytest.mark.parametrize(
    ("text", "tail", "fields"),
    [
        ('{"thoughts": "x", "action": "plus +"}', '"action": "plus +"}', {"thoughts": "x"}),
        ('{"thoughts": "İ", "Action": "+"}', '"Action": "+"}', {"thoughts": "İ"}),
        ('So "action": {"n": 1, "action": "+"}', '"action": {"n": 1, "action": "+"}', {"n": 1}),
        ("I choose +", None, {}),
    ],
)
def test_the_span_of_an_rl4vlm_reading_is_the_tail_that_the_original_searches(text, tail, fields):
    env = gymnasium.make("rl4vlm/NumberLine-v0").unwrapped
    env.reset(seed=0)
    parsed = env.read(text)
    assert (None if parsed.span is None else text[slice(*parsed.span)]) == tail
    assert parsed.fields == fields


def test_without_a_reader_strict_makes_no_difference():
    class Unread(gymnasium.Wrapper):
        """An environment without `read`."""

        @property
        def unwrapped(self):
            return gymnasium.Env()

    recording = EpisodeRecorder(Unread(gymnasium.make(NUMBER_LINE.env_id)), NUMBER_LINE)
    turn = recording.play(Reply('so: {"action": "+"}'))
    assert turn.action == "+" and turn.strict and turn.regret is None
