"""Good files that cases start from. Each is built once; a case gets a copy."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.wrong_inputs import process
from scripts.wrong_inputs.files import read_entry, write
from scripts.wrong_inputs.process import python_m
from vlbench.suites import frozen_rows, shipped_suites

TORCH = (
    "torch",
    "stable_baselines3",
    *(f"agents.train.{name}" for name in ("ppo", "sft", "tiny", "cnn")),
    *("agents.vlm.agent", "agents.vlm.loading", "agents.players.cnn"),
)
"""Modules that cases with a model or a trainer need."""

SMALL = "--width 32 --heads 2 --image-size 48 --text-layers 1 --vision-layers 1 --env NumberLine"
PPO = (
    "--num-envs 2 --num-steps 2 --minibatch 4 --max-new-tokens 4 --eval-every 0 --log json "
    "--critic-iterations 0 --iterations 1"
)
SFT = "--steps 2 --batch 4 --eval-every 0"
CNN = "--num-envs 2 --num-steps 16 --minibatch 16 --epochs 1 --size 36 --turns 32"
PACK = "leaderboard.pack run --out entry.tar.gz --name Cheat --model c-1 --weights open"
STANDS = """
import vlbench


def stands(observation):
    return vlbench.reply("stand", thoughts=f"hand {observation['image'].sum()}, so I stand")
"""

MODEL = """
import vlbench

class Model:
    name, privileged = "model", False

    def __init__(self, temperature=0.0, extra=""):
        self.settings = {"temperature": temperature}
        self.extra = extra

    async def act(self, observation, env=None):
        pixel = int(observation["image"].sum()) % 2
        return vlbench.reply(["stand", "hit"][pixel], thoughts="pixels" + self.extra)
"""
MEMORY = """
import gymnasium
import vlbench
from vlbench.suites import frozen_rows

class Memory:
    name, privileged, settings = "memory", False, {}

    def __init__(self):
        self.calls = 0
        self.actions = [a for row in frozen_rows("vlbench/EZPoints-v0", "test") for a in win(row)]

    async def act(self, observation, env=None):
        self.calls += 1
        action = self.actions[self.calls % len(self.actions) - 1]
        return vlbench.reply(action, thoughts=f"turn {self.calls}")

def win(row):
    env = gymnasium.make(row.env_id, **row.kwargs)
    env.reset(options=row.options)
    ended = False
    while not ended:
        action = env.unwrapped.expert()
        yield action
        _, _, ended, _, _ = env.step(vlbench.reply(action))
"""


@dataclass(frozen=True)
class Fixture:
    """A good file or folder.

    Attributes:
        build: Builds it in the current folder, under the fixture's name.
        parts: Fixtures that it is built from.
    """

    build: Callable[[], object]
    parts: tuple[str, ...] = ()


def build_adapter() -> None:
    from agents.vlm.loading import add_lora, load

    model = add_lora(load("model").model, rank=4, alpha=8, dropout=0.0, vision="none")
    model.save_pretrained("adapter")


BLACKJACK = "vlbench/Blackjack-v0"
SUITE = min(shipped_suites(BLACKJACK), key=lambda suite: len(frozen_rows(BLACKJACK, suite)))
"""Blackjack's smallest suite."""
ROWS = len(frozen_rows(BLACKJACK, SUITE))


def build_entry() -> None:
    write("stands.py", STANDS)()
    play = f"agents.evaluate --agent stands.py:stands --env Blackjack --suite {SUITE}"
    python_m(f"{play} --concurrency 1 --out stands")()
    card = "--name Stands --model stands-1 --weights open --track zero-shot"
    python_m(f"leaderboard.pack stands --out entry.tar.gz {card}")()


def build_published() -> None:
    """Build the entry of a model, with its code and its run."""
    os.mkdir("published")
    os.chdir("published")
    write("model.py", MODEL)()
    python_m(
        f"agents.evaluate --agent model.py:Model --env Blackjack --suite {SUITE} --concurrency 1 "
        "--out run"
    )()
    python_m(f"{PACK} --track zero-shot")()


def build_memory() -> None:
    """Build the entry of a model that knows the rows, its challenge and its published nonce."""
    os.mkdir("memory")
    os.chdir("memory")
    write("memory.py", MEMORY)()
    play = "agents.evaluate --agent memory.py:Memory --env EZPoints --concurrency 1 --out"
    python_m(f"{play} run")()
    python_m(f"{PACK} --track zero-shot")()
    digest = read_entry("entry.tar.gz")[0]["digest"]
    python_m(f"{play} new --challenge {digest} --nonce n-1")()
    python_m("leaderboard.pack new --entry entry.tar.gz --out entry.challenge.tar.gz")()
    write("nonces.json", {digest: "n-1"})()


FIXTURES = {
    "run": Fixture(
        python_m("agents.evaluate --agent expert --env NumberLine --episodes 5 --out run")
    ),
    "cards": Fixture(
        python_m("agents.evaluate --agent expert --env EZPoints --episodes 3 --out cards")
    ),
    "model": Fixture(python_m(f"agents.train.tiny --out model {SMALL}")),
    "adapter": Fixture(build_adapter, ("model",)),
    "data.jsonl": Fixture(python_m("agents.train.sft_data --out data.jsonl --episodes 8")),
    "ppo": Fixture(python_m(f"agents.train.ppo --model model --out ppo {PPO}"), ("model",)),
    "sft": Fixture(
        python_m(f"agents.train.sft --model model --data data.jsonl --out sft {SFT}"),
        ("model", "data.jsonl"),
    ),
    "cnn": Fixture(python_m(f"agents.train.cnn --out cnn {CNN}")),
    "entry.tar.gz": Fixture(build_entry),
    "published": Fixture(build_published),
    "memory": Fixture(build_memory),
    "stands": Fixture(lambda: None, ("entry.tar.gz",)),
}


class Shelf:
    """Builds fixtures once, and gives copies of them.

    Args:
        folder: An empty folder for the originals.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def copy(self, name: str, folder: Path) -> None:
        """Put a copy of a fixture into a folder.

        Raises:
            RuntimeError: It can't be built.
        """
        original = self._folder / name
        if not original.exists():
            self._build(name)
        if original.is_dir():
            shutil.copytree(original, folder / name, symlinks=True)
        else:
            shutil.copy(original, folder / name)

    def _build(self, name: str) -> None:
        fixture = FIXTURES[name]
        for part in fixture.parts:
            if not (self._folder / part).exists():
                self._build(part)
        output = process.run(fixture.build, self._folder)
        if output.code or not (self._folder / name).exists():
            raise RuntimeError(f"the fixture {name} can't be built: {output.err or output.out}")
