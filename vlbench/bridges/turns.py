"""One turn as one example, for any trainer of single turns: a data set, and a pure reward.

    from vlbench.bridges import turns
    rows = turns.read_rows("data.jsonl")        # written by agents.train.sft_data
    data = turns.dataset(rows)                  # of Hugging Face's datasets: prompt, images, …
    trainer = GRPOTrainer(…, train_dataset=data, reward_funcs=turns.trl_reward)

The reward of a reply is minus its exact regret in that state: 0 for the best action, never above.
It needs no other turn and no state, so it fits every trainer. The prompts are those of the
benchmark without past turns, as `agents.evaluate` plays them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import vlbench
from vlbench.errors import user_code
from vlbench.observation import Observation
from vlbench.recorder import EnvCache, exact_regret
from vlbench.records.run_spec import RunSpec
from vlbench.registry import registered_id
from vlbench.solved_env import SolvedEnv
from vlbench.suites import Row as Start

MOST_TURNS = 1000
"""Most earlier actions of a row."""


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A state, as what rebuilds it."""

    env_id: str
    """A registered id, whose values are known."""
    kwargs: str
    """Keyword arguments of the environment, as JSON."""
    instance: str
    presentation: int
    played: tuple[str, ...] = ()
    """Actions before this turn."""
    reply: str = ""
    """A reply to learn; "" if the row has none."""

    @property
    def start(self) -> Start:
        """Where the episode starts."""
        return Start(self.env_id, json.loads(self.kwargs), self.instance, self.presentation)


def frozen_rows(
    env_id: str, suite: str, episodes: int | None = None, *, prompt: str = "cot"
) -> list[TurnRow]:
    """Return the first states of a frozen set.

    Args:
        env_id: A registered id.
        suite: Name of the set.
        episodes: Number of rows, from the first; all by default.
        prompt: Variant of the prompt.

    Raises:
        ValueError: There is no such set.
    """
    starts = RunSpec(suite, prompt).rows(env_id)[:episodes]
    return [TurnRow(env_id, json.dumps(s.kwargs), s.instance, s.presentation) for s in starts]


def read_rows(path: Path | str) -> list[TurnRow]:
    """Read states from a file that `agents.train.sft_data` wrote.

    The file may come from anyone: it imports no module.

    Raises:
        ValueError: A line isn't a state.
    """
    rows = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        try:
            data = json.loads(line)
            names = {item.name for item in fields(TurnRow)}
            row = TurnRow(**{k: v for k, v in data.items() if k in names} | _played(data))
            registered_id(row.start.env_id)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}:{number} is no state: {error}") from error
        rows.append(row)
    if not rows:
        raise ValueError(f"{path} holds no state")
    return rows


def _played(data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    played = data["played"]
    if not isinstance(played, list) or len(played) > MOST_TURNS:
        raise ValueError(f"played must be a list of at most {MOST_TURNS} actions")
    return {"played": tuple(map(str, played))}


class TurnPlayer:
    """Rebuilds states, one at a time. It keeps its environments; `close` closes them."""

    def __init__(self) -> None:
        self._envs = EnvCache()

    def enter(self, row: TurnRow) -> SolvedEnv[Any, Any]:
        """Return the environment in a row's state.

        Raises:
            ValueError: The row can't be played, or its environment has no exact values.
        """
        with user_code(f"{row.env_id} {row.instance} can't be played"):
            env = self._envs.of(row.start).unwrapped
            if not isinstance(env, SolvedEnv):
                raise ValueError("its environment has no exact values")
            env.begin(None, row.start.options)
            for number, action in enumerate(row.played):
                if env.is_over:
                    raise ValueError(f"the episode is over after {number} actions")
                env.advance(vlbench.reply(action))
            if env.is_over:
                raise ValueError(f"the episode is over after {len(row.played)} actions")
        return env

    def reward(self, reply: str, row: TurnRow) -> float:
        """Return minus the exact regret of a reply, 0 at best.

        A reply that can't be read, or whose action is illegal, costs what it costs in the
        environment: a turn, and the environment's penalty.
        """
        env = self.enter(row)
        values = env.values()
        outcome = env.advance(reply)
        best_after = 0.0 if env.is_over else max(env.values().values())
        return 0.0 - exact_regret(values, outcome.info, outcome.reward, best_after)

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs.values():
            env.close()


def reward(reply: str, row: TurnRow) -> float:
    """Return minus the exact regret of a reply in a state; see `TurnPlayer.reward`."""
    with closing(TurnPlayer()) as player:
        return player.reward(reply, row)


def trl_reward(completions: Sequence[Any], **columns: Sequence[Any]) -> list[float]:
    """Return the rewards of a batch, as a reward function of TRL.

    Args:
        completions: Texts, or chats whose last message is the reply.
        **columns: The columns of `dataset`; others are ignored.
    """
    names = [item.name for item in fields(TurnRow) if item.name in columns]
    with closing(TurnPlayer()) as player:
        return [
            player.reward(_text(completion), _row({name: columns[name][i] for name in names}))
            for i, completion in enumerate(completions)
        ]


def verl_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    **_: object,
) -> float:
    """Return the reward of a reply, as verl's `custom_reward_function`.

    Args:
        data_source: Ignored.
        solution_str: The reply.
        ground_truth: The row as JSON; see `export`.
        extra_info: Ignored.
    """
    return reward(solution_str, _row(json.loads(ground_truth)))


def _row(data: Mapping[str, Any]) -> TurnRow:
    return TurnRow(**{**data, "played": tuple(data["played"])})


def _text(completion: Any) -> str:
    """Return the reply in a completion: a text, or the last message of a chat."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def observations(rows: Iterable[TurnRow]) -> Iterator[Observation]:
    """Yield the prompt and the picture of each row."""
    with closing(TurnPlayer()) as player:
        for row in rows:
            yield player.enter(row).observe()


def dataset(rows: Sequence[TurnRow]) -> Any:
    """Return a `datasets.Dataset` with the columns that single-turn trainers read.

    `prompt`: a chat of one user message with a picture and a text. `images`: a list of one picture.
    The other columns are the row's, and rebuild the state for the reward. Needs the package
    `datasets`.
    """
    import datasets  # slow to import, and the reward doesn't need it
    from PIL import Image

    def examples() -> Iterator[dict[str, Any]]:
        for row, seen in zip(rows, observations(rows), strict=True):
            content = [{"type": "image", "text": None}, {"type": "text", "text": seen["text"]}]
            yield {
                "prompt": [{"role": "user", "content": content}],
                "images": [Image.fromarray(seen["image"])],
                **asdict(row),
                "played": list(row.played),
            }

    return datasets.Dataset.from_list(list(examples())).cast_column(
        "images", datasets.List(datasets.Image())
    )
