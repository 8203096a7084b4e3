"""K: copies, signals, healed runs, lettering, vector environments."""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import write
from scripts.wrong_inputs.fixtures import BLACKJACK
from scripts.wrong_inputs.process import ROOT, python_m
from vlbench.suites import frozen_rows, shipped_suites, suite_facts

SLOW_AGENT = """
import json, time

def slow(observation):
    time.sleep(0.05)
    return json.dumps({"action": "+"})
"""


def case(
    name: str, action: str | Callable[[], object], *pieces: str, code: int = 0, **more: Any
) -> Case:
    return Case(letter="K", name=name, action=action, pieces=pieces, code=code, **more)


def find_lucky_suite() -> str:
    """Return Blackjack's smallest suite on which the best player wins more than it can expect."""
    facts = {suite: suite_facts(BLACKJACK, suite) for suite in shipped_suites(BLACKJACK)}
    lucky = [s for s, fact in facts.items() if fact.references["expert"].success > fact.ceiling]
    return min(lucky, key=lambda suite: len(frozen_rows(BLACKJACK, suite)))


def make_vec(env_id: str, number: int, **options: Any) -> Any:
    """Return the native vector environment of a task."""
    import gymnasium

    return gymnasium.make_vec(
        f"vlbench/{env_id}-v0", number, vectorization_mode="vector_entry_point", **options
    )


def print_refusal(action: Callable[[], object]) -> None:
    """Print the exception that an action must raise."""
    try:
        action()
    except Exception as error:
        print(f"{type(error).__name__}: {' '.join(str(error).split())}")
    else:
        print("accepted")


def copy_alfworld(env_id: str) -> Callable[[], None]:
    """Return a function that copies and pickles a vector environment in an episode."""

    def show() -> None:
        import copy

        import vlbench

        envs = make_vec(env_id, 2)
        envs.reset(seed=3)
        twins = copy.deepcopy(envs), pickle.loads(pickle.dumps(envs))
        replies = [vlbench.reply(env.expert()) for env in envs.envs]
        texts = {envs_.step(replies)[0]["text"] for envs_ in (envs, *twins)}
        print(f"{len(texts)} different results of three")
        for each in (envs, *twins):
            each.close()

    return show


def change_a_reading() -> None:
    """Change the fields that one reading returns, and read again."""
    import gymnasium

    env = gymnasium.make("vlbench/Points24-v0").unwrapped
    env.reset(seed=0)
    text = '{"cards": ["3"], "action": "3"}'
    env.read(text).fields["cards"].append("8")
    print(env.read(text).fields)


def end(number: int) -> Callable[[], None]:
    """Return a function that ends an evaluation by a signal, and prints what it says."""

    def show() -> None:
        play = "agents.evaluate --agent slow.py:slow --env NumberLine --suite paper"
        words = f"{play} --concurrency 1 --out new"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            [sys.executable, "-m", *words.split()],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:
            journal = Path("new/replies.jsonl")
            while process.poll() is None and not (journal.exists() and journal.stat().st_size):
                pass
            process.send_signal(number)
            print(process.stderr.read().strip().rpartition("\n")[2])
        print(f"code {process.returncode}")
        before = journal.read_text().splitlines()
        python_m(f"{words} --episodes 3")()
        after = journal.read_text().splitlines()
        turns = [
            json.dumps([json.loads(line)[key] for key in ("episode", "turn")]) for line in after
        ]
        lost = [line for line in before[:-1] if line not in after]
        print(f"{len(lost)} replies lost, {len(turns) - len({*turns})} asked twice")

    return show


def tear_a_line() -> None:
    """Leave a half line at the end of a run's files, as a killed process does."""
    for name in ("episodes.jsonl", "replies.jsonl"):
        with Path("run", name).open("a", encoding="utf-8") as file:
            file.write('{"schema": 2, "env_id": "vlbench/Num')


def refuse_a_step() -> None:
    """Give a wrong second reply, and look whether the first environment has moved."""
    import vlbench

    envs = make_vec("NumberLine", 2)
    envs.reset(seed=1)
    before = [env.state_hash() for env in envs.envs]
    print_refusal(lambda: envs.step([vlbench.reply("+"), 1]))
    print("moved" if before != [env.state_hash() for env in envs.envs] else "nothing moved")


def measure_lettering() -> None:
    """Print how far the letters after the T of "Target:" move with libraqm's kerning."""
    import numpy as np

    from vlbench.rl4vlm.lettering import draw_line
    from vlbench.sprites import load_font
    from vlbench.themes import THEMES

    classic = THEMES["classic"]
    font = load_font(classic, "display", paper=True)
    ends = []
    for sprite in (font.draw("Target:", 150), draw_line(font, "display", ("Target:",), 150)):
        ends.append(np.flatnonzero((sprite != classic.paper).any(axis=(0, 2)))[-1])
    print(f"{ends[0] - ends[1]} pixels to the left")


def check_without_screen() -> None:
    """Run Gymnasium's checker on an unwrapped environment, on a computer without a screen."""
    program = """
import sys, warnings
import gymnasium, vlbench
from gymnasium.utils.env_checker import check_env
warnings.simplefilter("ignore")
check_env(gymnasium.make("vlbench/NumberLine-v0").unwrapped)
print("checked")
"""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["PYTHONPATH"] = str(ROOT)
    ended = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    print(f"code {ended.returncode}")


def wrap(mode: str, wrapper: str) -> Callable[[], None]:
    """Return a function that puts a wrapper of Gymnasium's around the vector environment."""

    def show() -> None:
        from gymnasium.wrappers import vector

        envs = make_vec("Points24", 3, autoreset_mode=mode)
        arguments = {
            "FilterObservation": (["image"],),
            "TransformReward": (lambda rewards: rewards,),
            "RecordEpisodeStatistics": (),
        }[wrapper]
        print(sorted(getattr(vector, wrapper)(envs, *arguments).reset(seed=0)[0]))

    return show


def reset_by_mask(mask: Callable[[Any], Any]) -> Callable[[], None]:
    """Return a function that resets some environments of three, and prints their instances."""

    def show() -> None:
        import numpy as np

        envs = make_vec("Blackjack", 3, autoreset_mode="Disabled")
        envs.reset(seed=0)
        options = {"reset_mask": mask(np)}
        print_refusal(lambda: print(list(envs.reset(options=options)[1]["_instance"])))

    return show


def read_shared_prompts() -> None:
    """Print the first characters of a prompt that came through shared memory."""
    import gymnasium

    envs = gymnasium.make_vec("vlbench/NumberLine-v0", 2, vectorization_mode="async")
    print(repr(envs.reset(seed=0)[0]["text"][1][:40]))
    envs.close()


MODES = ("SameStep", "NextStep", "Disabled")
CASES = (
    *(
        case(f"{env_id}'s vector environment, copied and pickled", copy_alfworld(env_id), "1 diff")
        for env_id in ("ALFWorld", "Points24")
    ),
    case("the fields of a reading, changed", change_a_reading, "{'cards': ['3']}"),
    *(
        case(
            f"{signal.Signals(number).name} in an evaluation",
            end(number),
            *pieces,
            "0 replies lost, 0 asked twice",
            setup=(write("slow.py", SLOW_AGENT),),
        )
        for number, pieces in (
            (signal.SIGTERM, ("to go on: python -m agents.evaluate", "code 130")),
            (signal.SIGINT, ("to go on: python -m agents.evaluate", "code 130")),
            (signal.SIGKILL, ("code -9",)),
        )
    ),
    case(
        "replay of a torn line",
        "vlbench.replay run",
        "damaged line left out",
        code=1,
        fixtures=("run",),
        setup=(tear_a_line,),
    ),
    case(
        "replay of a torn line, once the run has gone on",
        "vlbench.replay run",
        "6 episodes replayed, 0 differ",
        fixtures=("run",),
        setup=(
            tear_a_line,
            python_m("agents.evaluate --agent expert --env NumberLine --episodes 6 --out run"),
        ),
    ),
    case("a vector step that is refused", refuse_a_step, "TypeError", "nothing moved"),
    case("the original's lettering", measure_lettering, "5 pixels to the left"),
    case(
        "a normalized score above 1",
        f"agents.evaluate --agent expert --env Blackjack --suite {find_lucky_suite()}",
        "normalized above 1: more successes than the best player can expect",
    ),
    case("Gymnasium's checker without a screen", check_without_screen, "checked", "code 0"),
    *(
        case(f"RecordEpisodeStatistics, {mode}", wrap(mode, "RecordEpisodeStatistics"), "'text'")
        for mode in MODES
    ),
    *(
        case(f"FilterObservation, {mode}", wrap(mode, "FilterObservation"), "['image']")
        for mode in MODES[1:]
    ),
    case(
        "an autoreset mode that there is not",
        lambda: print_refusal(lambda: make_vec("NumberLine", 2, autoreset_mode="NextSteps")),
        'did you mean "NextStep"',
    ),
    case("reset_mask", reset_by_mask(lambda np: np.array([True, False, True])), "True", "False"),
    *(
        case(f"reset_mask of {name}", reset_by_mask(mask), "reset_mask must")
        for name, mask in {
            "a list": lambda np: [True, False, True],
            "numbers": lambda np: np.array([1, 0, 1]),
            "another length": lambda np: np.array([True]),
            "nothing": lambda np: np.array([False] * 3),
        }.items()
    ),
    case("prompts in shared memory", read_shared_prompts, "You", forbidden=("000",)),
)
