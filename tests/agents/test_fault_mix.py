"""300 episodes with a random mix of all faults and good replies; the outcome is predicted first."""

import io
import random
from dataclasses import dataclass, field

import pytest
from support.fault_server import FaultServer
from support.wire_faults import (
    AGAIN,
    CASES,
    LEAKS,
    REFUSED,
    REPLY,
    STOP,
    TRUNCATED,
    Case,
)

from agents.evaluate import evaluate
from agents.pricing.cost import Price
from agents.progress import Progress
from agents.registry import load_agent
from agents.retry import RetryPolicy
from agents.rollout import GIVE_UP
from vlbench.replay import divergences

pytestmark = pytest.mark.slow
EPISODES = 300
RETRIES = 2
KEY = "sk-proj-SECRET/SECRET+1234=="
STAND = '{"action": "stand"}'
COST = 0.0123
"""USD that an answer with a `usage` reports."""

LIMIT = 2.0
"""USD of the first part of the run; each further part may cost as much again."""

TRANSPORT = {kind: Case(AGAIN) for kind in ("reset", "half-body", "invalid-json", "content-type")}
SECRET = "leak in a reply"
STOP_REASONS = {REPLY: "stop", TRUNCATED: "length", REFUSED: "refused"}


def cases_of(api):
    return CASES[api] | TRANSPORT | (LEAKS if api == "openai" else {})


def draw(api):
    """Draw the answers: every kind among the first 400, and good ones in between."""
    rng, cases = random.Random(7), list(cases_of(api))
    kinds = ["text" if rng.random() < 0.6 else rng.choice(cases) for _ in range(2000)]
    for position, case in zip(rng.sample(range(400), len(cases)), cases, strict=True):
        kinds[position] = case
    return kinds


def cost_of(case, api):
    """Return what an answer reports; errors and answers without `usage` report nothing."""
    has_usage = api == "openai" and case.change is not None and case != CASES[api]["no usage"]
    return COST if has_usage else None


@dataclass
class Turn:
    stop_reason: str
    text: str
    usd: float | None


@dataclass
class Expected:
    """How an episode must end."""

    turns: list[Turn] = field(default_factory=list)
    end: str = ""


class Model:
    """What must happen, step by step, if answers come in this order and one call at a time."""

    def __init__(self, api, kinds):
        self.api, self.cases, self.kinds = api, cases_of(api), iter(kinds)
        self.episodes = [Expected() for _ in range(EPISODES)]
        self.parts = 0
        self.good = 0

    def play(self):
        """Play the parts of the run until none stops."""
        while self._part(LIMIT * (self.parts + 1)):
            self.parts += 1

    def _part(self, limit):
        """Return whether this part stops early."""
        journaled = [turn.usd or 0.0 for e in self.episodes for turn in e.turns]
        self.spent, self.dearest, self.failed = sum(journaled), max(journaled, default=0.0), 0
        for episode in self.episodes:
            if episode.end in ("", "errored"):
                episode.end = ""
                if self._episode(episode, limit):
                    return True
        return False

    def _episode(self, episode, limit):
        while not episode.end:
            if self.spent + self.dearest > limit:
                return True
            outcome, turn = self._call()
            self.failed = 0 if turn else self.failed + 1
            if outcome == STOP or self.failed == GIVE_UP:
                return True
            if turn and outcome != "secret":
                episode.turns.append(turn)
                self.dearest = max(self.dearest, turn.usd or 0.0)
                episode.end = "terminated" if turn.text else ""
            else:
                episode.end = "errored"
        return False

    def _call(self):
        """Return the outcome of a call with its retries, and the turn that it gives, if any."""
        total, tries = None, 0
        while True:
            name = next(self.kinds, "text")
            case = self.cases[name]
            cost = cost_of(case, self.api)
            self.spent += cost or 0.0
            total = total if cost is None else (total or 0.0) + cost
            if case.meaning in STOP_REASONS:
                text = "" if case.empty or case.meaning == REFUSED else STAND
                self.good += case.meaning == REPLY and name != SECRET
                turn = Turn(STOP_REASONS[case.meaning], text, total)
                return ("secret" if name == SECRET else case.meaning), turn
            tries += 1
            if case.meaning != AGAIN or tries > RETRIES:
                return case.meaning, None


@pytest.mark.parametrize("api", CASES)
def test_300_episodes_end_as_predicted_whatever_the_provider_does(api, tmp_path, monkeypatch):
    kinds = draw(api)
    expected = Model(api, kinds)
    expected.play()
    assert expected.good >= 280 and expected.parts >= 5
    assert len(kinds) - len(list(expected.kinds)) > 400, "some kind isn't met"

    variables = {"openai": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY"}
    monkeypatch.setenv(variables.get(api, "ANTHROPIC_API_KEY"), KEY)
    monkeypatch.setattr("agents.retry._wait", lambda *arguments: 0.0)
    screen, parts = io.StringIO(), 0
    with FaultServer(reply=STAND, usd=COST) as server:
        server.prepare(*kinds)
        while True:
            run = evaluate(
                load_agent(f"{api}:m", base_url=server.v1 if api == "openai" else server.url),
                "Blackjack",
                episodes=EPISODES,
                concurrency=1,
                patience=RetryPolicy(timeout=20, retries=RETRIES),
                price=Price(0, 0),
                max_usd=LIMIT * (parts + 1),
                out=tmp_path / "run",
                progress=Progress(screen),
            )
            print(run.stopped, file=screen)
            if not run.stopped:
                break
            parts += 1
    assert parts == expected.parts
    for episode, outcome in zip(run.episodes, expected.episodes, strict=True):
        turns = [(turn.reply.stop_reason, turn.reply.text) for turn in episode.turns]
        assert turns == [(turn.stop_reason, turn.text) for turn in outcome.turns]
        assert episode.end == outcome.end and bool(episode.error) == (episode.end == "errored")
        if api == "openai":
            for turn, foreseen in zip(episode.turns, outcome.turns, strict=True):
                assert (turn.reply.usd or 0.0) == pytest.approx(foreseen.usd or 0.0)
    assert divergences(run.episodes) == []
    files = "".join(p.read_text("utf-8") for p in tmp_path.rglob("*") if p.is_file())
    for part in ("SECRET/SECRET", "SECRET+1234", "SECRET%2F", "U0VDUkVUL1NFQ1JFV"):
        assert part not in files + screen.getvalue()
