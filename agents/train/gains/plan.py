"""The plan of the study of gains: starts, methods, budgets and seeds, fixed before any result.

Costs are counted in *examples*: one example is a forward and a backward pass over one turn, prompt
and reply. A forward pass alone, as in writing a reply, counts a third. Every method of a task and
seed costs what its PPO run costs.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from agents.train import TRAINER, sft, sft_data, tiny
from agents.train.credit.lines import digest_of
from agents.train.ppo_config import PRESETS, Config
from agents.train.reproduce.study import Stage, Values, resolved

START_SHARE, GAIN_SHARE = "1/2", "2/2"
"""The start learns from one half of the training instances; every method plays the other half."""
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
class Task:
    """The study of one task."""

    env: str
    tiny: Values
    """Options of `tiny`, of the start."""
    stages: tuple[Stage, ...]
    """Data and SFT of the start, one after the other; all deal START_SHARE."""
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

    tasks: dict[str, Task]
    seeds: int = 5

    def digest(self, name: str) -> str:
        """Return a hash of everything that determines a task's results, except the seeds."""
        task = self.tasks[name]
        stages = [
            [
                resolved(sft_data.Config(out=Path(), **stage.data)),
                resolved(sft.Config(model="", data=Path(), out=Path(), **stage.sft)),
            ]
            for stage in task.stages
        ]
        built = [resolved(tiny.Config(out=Path(), **task.tiny)), resolved(task.ppo_config())]
        return digest_of([TRAINER, METHODS, asdict(task), stages, built])
