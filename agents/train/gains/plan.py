"""The plan of the study of gains: starts, methods, budgets and seeds, fixed before any result.

Costs are counted in *examples*: one example is a forward and a backward pass over one turn, prompt
and reply. A forward pass alone, as in writing a reply, counts a third. Every method of a task and
seed costs what its PPO run costs.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from agents.results.study_lines import digest_of
from agents.train import TRAINER, tiny
from agents.train.gains.lessons import Lesson
from agents.train.ppo_config import PRESETS, Config
from agents.train.reproduce.study import Values, resolved

GAIN_SHARE = "2/2"
"""Every method plays the half of the training instances that no lesson deals."""
METHODS = {
    "ppo": "PPO on the environment's reward",
    "sft-more": "SFT on the expert's turns",
    "best-of-n": "the best of n sampled episodes, then SFT",
    "dagger": "DAgger: the expert's reply in every state that the model meets",
}
FORWARD = 1 / 3
"""Cost of a forward pass, in examples."""
FIRST_PILOT = 1000
"""Seeds from here on are of pilots, and stand in no result."""


@dataclass(frozen=True)
class Exam:
    """What `--test` plays with everything that a task's study made."""

    suite: str = "test"
    """A frozen set, or seeds: rows dealt from the split `test`."""
    rules: Values = field(default_factory=dict)
    """Keyword arguments of the environment."""
    episodes: int | None = None
    """Number of rows; None for all of a set."""
    sampled: bool = False
    """Whether replies are sampled as in rollouts; greedy if not."""

    @property
    def label(self) -> str:
        """The name in result lines and tables."""
        return f"{self.suite}-sampled" if self.sampled else self.suite


@dataclass(frozen=True)
class Task:
    """The study of one task."""

    env: str
    lessons: tuple[Lesson, ...]
    """What the start learns after reading."""
    ppo: Values
    """Options of `ppo`; GAIN_SHARE is dealt."""
    sft_lr: float
    """Learning rate of the SFT that the other methods use."""
    n: int = 4
    """Episodes of each instance in best-of-n."""
    rounds: int = 3
    """Rounds of DAgger."""
    rules: Values = field(default_factory=dict)
    """Keyword arguments of the training environment."""
    mix: str = ""
    """Values of a rule that episodes take in turn; see `agents.train.mixture`."""
    batch: int = 32
    tiny: Values = field(default_factory=dict)
    """Options of `tiny` for a model of its own."""
    base: str = ""
    """The task whose start this one's continues; by default it continues the reader."""
    text_first: bool = False
    """Whether a turn's text stands before its picture from here on; see `tiny --text-first`."""
    val_episodes: int = 96
    """Rows of `val` by which a checkpoint is chosen."""
    exam: Exam = Exam()

    def ppo_config(self, **own: object) -> Config:
        """Return the options of the PPO run; `own` are those that a run adds."""
        values: Values = {"model": "", "log": "json", "env": self.env, "env_kwargs": self.rules}
        values |= {"mix": self.mix}
        values |= {**self.ppo, "share": GAIN_SHARE, **own}
        return Config(**{**PRESETS[f"tiny-{self.env.lower()}"], **values})

    def budget(self) -> float:
        """Return the cost of a PPO run, in examples.

        A turn is written, scored again, scored by the start if there is a KL penalty, and learned
        from in each epoch. Rollouts of whole episodes count as their least size.
        """
        config = self.ppo_config()
        turns = config.iterations * config.num_envs * config.num_steps
        passes = 2 + (config.kl_coef > 0)
        return turns * (passes * FORWARD + config.epochs)


@dataclass(frozen=True)
class Plan:
    """The study."""

    tiny: Values
    """Options of `tiny`: the model of all tasks."""
    reading: tuple[Lesson, ...]
    """What it learns first, for all tasks alike: to say what pictures show."""
    tasks: dict[str, Task]
    seeds: int = 5

    def digest(self, name: str) -> str:
        """Return a hash of everything that determines a task's results, except the seeds."""
        task = self.tasks[name]
        options = asdict(task)
        del options["base"]  # its start's hash says more
        # Results from before there were these options have neither.
        if not task.exam.sampled:
            del options["exam"]["sampled"]
        if not task.text_first:
            del options["text_first"]
        lessons = [lesson.resolved() for lesson in task.lessons]
        return digest_of(
            [TRAINER, METHODS, self._first(task), options, lessons, resolved(task.ppo_config())]
        )

    def _first(self, task: Task) -> str:
        """Return a hash of everything that determines the model that a task's lessons continue."""
        if task.tiny:
            return digest_of([TRAINER, _model(task.tiny)])
        if not task.base:
            return self.reader()
        base = self.tasks[task.base]
        lessons = [lesson.resolved() for lesson in base.lessons]
        order = ["text first"] if base.text_first else []
        return digest_of([self._first(base), lessons, *order])

    def reader(self) -> str:
        """Return a hash of everything that determines the model that reads."""
        lessons = [lesson.resolved() for lesson in self.reading]
        return digest_of([TRAINER, _model(self.tiny), lessons])


def _model(options: Values) -> Values:
    return resolved(tiny.Config(out=Path(), **options))
