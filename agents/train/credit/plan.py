"""What the study of credit measures, fixed before anything is measured."""

from dataclasses import asdict, dataclass, field
from typing import Any

from agents.results.study_lines import digest_of
from agents.vlm.bundled import TASKS


@dataclass(frozen=True, slots=True)
class Game:
    """The rollouts of one task."""

    env: str
    """The environment's id."""
    model: str
    """The policy: a bundled checkpoint, `stage/task`; "" for one that is given."""
    episodes: int = 128
    """Episodes to measure; as many others fit the critics."""
    max_new_tokens: int = 96
    temperature: float = 1.0
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Further keyword arguments of the environment."""


@dataclass(frozen=True, slots=True)
class Critic:
    """A value head that is fitted before it is used."""

    standardise: bool
    lr: float
    steps: int
    """Adam steps, on 64 turns each."""


@dataclass(frozen=True, slots=True)
class Estimator:
    """An estimator of advantages."""

    title: str
    baseline: str
    """A baseline of `ppo`; "number" for the planted estimator that returns the turn's number."""
    gamma: float = 1.0
    critic: str = ""
    """Name of the critic, for the baseline "value"; "" for V = 0."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """What is left of an estimator's advantages in the gradient, after an update."""

    title: str
    kind: str
    """A ratio of `ppo --ratio`."""
    estimator: str
    """Name of the estimator."""


@dataclass(frozen=True)
class Plan:
    """The study."""

    games: dict[str, Game]
    critics: dict[str, Critic]
    estimators: dict[str, Estimator]
    ratios: dict[str, Ratio]
    update_turns: int = 256
    """Turns of the update that the ratios are seen after."""
    group: int = 8
    """Episodes that share a start."""
    trace: float = 0.95
    """λ of generalised advantage estimation."""
    seed: int = 0
    version: int = 1
    """It increases whenever the code changes what is measured."""

    @property
    def digest(self) -> str:
        """Return a hash of everything that determines the results."""
        return digest_of(asdict(self))

    def sample_digest(self, name: str, weights: str) -> str:
        """Return a hash of everything that determines a game's rollouts.

        Args:
            name: The game.
            weights: Hash of the policy's weights.
        """
        return digest_of([asdict(self.games[name]), weights, self.group, self.seed, self.version])


LONG_GAMES: dict[str, dict[str, Any]] = {"points24": {"episodes": 32, "max_new_tokens": 256}}
"""Tasks whose episodes take longer, by the folder of their checkpoint."""

ALFWORLD = Game(
    "vlbench/ALFWorld-v0",
    "",  # none is bundled: docs/results/credit.sh trains one
    episodes=32,
    max_new_tokens=64,
    kwargs={"group": "pick_and_place_simple"},
)

PLAN = Plan(
    games={
        env_id.partition("/")[2].partition("-")[0]: Game(
            env_id, f"llava-sft/{task}", **LONG_GAMES.get(task, {})
        )
        for env_id, task in TASKS.items()
    }
    | {"ALFWorld": ALFWORLD},
    critics={
        "raw": Critic(standardise=False, lr=1e-3, steps=96),
        "standardised": Critic(standardise=True, lr=3e-3, steps=96),
    },
    estimators={
        "none": Estimator("GAE without a critic (V = 0)", "value", 0.9),
        "raw": Estimator("GAE, the paper's critic", "value", 0.9, "raw"),
        "standardised": Estimator("GAE, standardised critic", "value", 0.9, "standardised"),
        "none-1": Estimator("GAE without a critic (V = 0)", "value"),
        "raw-1": Estimator("GAE, the paper's critic", "value", 1.0, "raw"),
        "standardised-1": Estimator("GAE, standardised critic", "value", 1.0, "standardised"),
        "turn-0.9": Estimator("by turn", "turn", 0.9),
        "group-0.9": Estimator("by group (RLOO, GRPO)", "group", 0.9),
        "state-0.9": Estimator("by equal state (GiGPO)", "state", 0.9),
        "turn": Estimator("by turn", "turn"),
        "group": Estimator("by group (RLOO, GRPO)", "group"),
        "state": Estimator("by equal state (GiGPO)", "state"),
        "number": Estimator("planted: the turn's number", "number"),
        "exact": Estimator("planted: exact (oracle)", "exact"),
    },
    ratios={
        f"{estimator}-{kind}": Ratio(f"{title}, {kind} ratio", kind, estimator)
        for estimator, title in (("exact", "exact (oracle)"), ("state", "by equal state"))
        for kind in ("turn", "length", "token")
    },
)
