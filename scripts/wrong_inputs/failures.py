"""D: what fails counts as a failure, and is told."""

from pathlib import Path

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import Step, write
from scripts.wrong_inputs.fixtures import ROWS, SUITE
from scripts.wrong_inputs.process import python_m

FAILED = max(3 * ROWS // 100, 1)
"""Episodes of SUITE that are too many to fail in an entry."""
OWN = "agents.evaluate --agent own.py:own --concurrency 1 --out run"
PLAY = f"{OWN} --env NumberLine --suite paper"


def agent(body: str) -> Step:
    """Write an agent; `calls` counts its calls, and `plus` is a good reply."""
    head = "import json\nplus = json.dumps({'action': '+'})\ncalls = 0\n"
    return write("own.py", f"{head}def own(observation):\n    global calls\n    calls += 1\n{body}")


def case(name: str, body: str, *pieces: str, code: int, action: str = PLAY, **more: object) -> Case:
    """An evaluation by an agent whose function has this body."""
    return Case(
        letter="D", name=name, action=action, pieces=pieces, code=code, setup=(agent(body),), **more
    )


def bug(name: str, body: str, *pieces: str) -> Case:
    """A bug in an agent, on the line after the agent's first six."""
    place = "own.py:7); to go on: python -m agents.evaluate"
    return case(
        name,
        body,
        "evaluate: stopped: own raised ",
        place,
        *pieces,
        code=3,
        action=f"{PLAY} --episodes 4",
        forbidden=("100.0 %",),
    )


FLAKY = """
from agents.players.scripted import Expert
from agents.agent import ProviderError

class Flaky(Expert):
    episodes = 0

    async def act(self, observation, env=None):
        if env.unwrapped.turns_left == env.unwrapped.game.max_turns:
            self.episodes += 1
        if self.episodes > {good}:
            raise ProviderError("status 500: no", status=500)
        return await super().act(observation, env)
"""


def flaky(good: int) -> Step:
    """Write an agent that plays some episodes as the expert does, and fails in all later ones."""
    return write("flaky.py", FLAKY.format(good=good))


PLAY_FLAKY = PLAY.replace("own.py:own", "flaky.py:Flaky")
NINE_OF_TEN = (flaky(1), python_m(f"{PLAY_FLAKY} --episodes 10", code=1))


def show_page() -> None:
    """Write the page of the run and print it."""
    python_m("agents.report run page.html")()
    print(Path("page.html").read_text("utf-8"))


def nine_of_ten(
    name: str,
    action: str | Step,
    *pieces: str,
    setup: tuple[Step, ...] = NINE_OF_TEN,
    code: int = 0,
) -> Case:
    """A reader of a run of which nine episodes of ten errored."""
    return Case(
        letter="D",
        name=name,
        action=action,
        pieces=pieces,
        code=code,
        setup=setup,
        forbidden=("100.0 % (",),
    )


CASES = (
    nine_of_ten(
        "nine of ten episodes errored",
        f"{PLAY_FLAKY} --episodes 10",
        "10.0 %",
        "9 of 10 episodes errored",
        setup=(flaky(1),),
        code=1,
    ),
    nine_of_ten("replay of it", "vlbench.replay run", "9 errored and count"),
    nine_of_ten("its page", show_page, "<p class=rate>10.0 % ", "<dt>errored</dt><dd>9</dd>"),
    nine_of_ten("compare it", "agents.compare run run", "9 episodes of the first run"),
    case(
        "one of eight episodes errored",
        "    if calls == 3:\n        raise RuntimeError('out of memory')\n    return plus\n",
        "1 of 8 episodes errored; the first: vlbench/NumberLine-v0#",
        "RuntimeError: out of memory (",
        "own.py:8)",
        code=1,
        action=f"{PLAY} --episodes 8",
    ),
    bug("a KeyError", "    return {}['weights']\n", "KeyError: 'weights'"),
    bug("a TypeError", "    return len(3)\n", "TypeError: object of type 'int'"),
    bug("an AssertionError", "    assert 0, 'no'\n", "AssertionError: no"),
    bug("a file that isn't there", "    open('/no/such/file')\n", "FileNotFoundError"),
    bug("sys.exit", "    raise SystemExit(4)\n", "SystemExit: 4"),
    case(
        "no reply",
        "    return None\n",
        "TypeError: an agent must give a str or a Reply",
        code=3,
        action=f"{PLAY} --episodes 4",
    ),
    case(
        "a connection that is reset twice",
        "    if calls < 3:\n        raise ConnectionResetError('reset')\n    return plus\n",
        "0.0 %",
        code=0,
        action=f"{PLAY} --episodes 2",
        forbidden=("errored;",),
    ),
    case(
        "a busy server",
        "    error = RuntimeError('busy')\n    error.status_code = 503\n"
        "    if calls < 2:\n        raise error\n    return plus\n",
        "0.0 %",
        code=0,
        action=f"{PLAY} --episodes 2",
        forbidden=("errored;",),
    ),
    case(
        "a connection that stays away, without retries",
        "    raise ConnectionResetError('reset by peer')\n",
        "2 of 2 episodes errored",
        "reset by peer",
        code=1,
        action=f"{PLAY} --episodes 2 --retries 0",
    ),
    case(
        "a key that isn't accepted",
        "    error = RuntimeError('no such key')\n    error.status_code = 401\n    raise error\n",
        "evaluate: stopped",
        "no such key",
        code=3,
        action=f"{PLAY} --episodes 2",
    ),
    Case(
        letter="D",
        name="pack a run of which more than 2 % errored",
        action="leaderboard.pack run --out entry.tar.gz --weights none --track zero-shot",
        pieces=(f"{FAILED} of {ROWS} episodes of {SUITE} errored",),
        code=0,
        setup=(
            agent(
                f"    if calls > {ROWS - FAILED}:\n        raise RuntimeError('out of memory')\n"
                "    return json.dumps({'action': 'stand'})\n"
            ),
            python_m(f"{OWN} --env Blackjack --suite {SUITE}", code=1),
        ),
    ),
)
