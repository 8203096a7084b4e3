"""Checks: the expert's action is best by `values`, and `values` promise what comes."""

import copy
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import vlbench
from vlbench.contract.plays import make_env, play, seeds_within, wander
from vlbench.solved_env import SolvedEnv

TOLERANCE = 1e-6
EXACT_EPISODES = 400
"""Episodes after which a task without chance counts as correct."""
RANDOM_EPISODES = 2_000
"""Episodes over which promises are averaged where chance decides."""
PATIENCE = 2.0
"""Seconds after which no further episode is played."""
MOST_TRIES = 6
"""Actions that are tried in a state."""
MOST_ERRORS = 4.0
"""Standard errors by which a mean may differ from 0."""

FALSE_ALARM = 1e-7
"""Probability that correct values of one state and action are called wrong."""

AnySolvedEnv = SolvedEnv[object, object]


class Promise(NamedTuple):
    """What `values` promised for an action, and what came."""

    seen: str
    """Facts and turns left, as text, before the action."""
    action: str
    promised: float
    reward: float
    rest: float
    """The best of `values` after the action; 0 at the end."""
    outcome: str
    """Reward and facts after the action, as text."""
    place: str

    @property
    def surplus(self) -> float:
        """How much more came than was promised."""
        return self.reward + self.rest - self.promised

    @property
    def is_kept(self) -> bool:
        """Whether what came is what was promised."""
        return abs(self.surplus) <= TOLERANCE

    def __str__(self) -> str:
        """Return a line with the promise and what came."""
        return (
            f'{self.place}: values() promises {self.promised:g} for "{self.action}", but the '
            f"reward is {self.reward:g} and the best of the rest {self.rest:g}"
        )


def the_expert_takes_what_values_promise(env_id: str) -> None:
    """If a task has an expert: values cover the legal actions, and its action has the best one.

    So it is also where a mixed player goes, which the expert itself would avoid.
    """
    env = make_env(env_id)
    if not isinstance(env, SolvedEnv):
        return
    for seed in seeds_within(PATIENCE, EXACT_EPISODES):
        for turn in play(env, seed, wander(np.random.default_rng(seed))):
            if turn.is_last:
                break
            values, action = env.values(), env.expert()
            assert set(values) == set(env.legal), (
                f"values() covers {list(values)}; wanted the legal actions {env.legal}"
            )
            assert all(map(math.isfinite, values.values())), f"values() has {values}"
            assert values[action] == max(values.values()), (
                f'the expert takes "{action}", which isn\'t the best of {values}'
            )


def values_keep_their_promise(env_id: str) -> None:
    """If a task has an expert: `values` are the returns that come under best play.

    In the states of a mixed player, the reward of an action and the best of the following values
    add up to the value of the action: exactly, or on average where what is shown doesn't determine
    the outcome. At the end, and at the end of the turns, nothing more comes.
    """
    env = make_env(env_id)
    if not isinstance(env, SolvedEnv):
        return
    episodes = [_promises(env, seed) for seed in seeds_within(PATIENCE, EXACT_EPISODES)]
    broken = next((each for episode in episodes for each in episode if not each.is_kept), None)
    if broken is None:
        return
    more = seeds_within(PATIENCE, RANDOM_EPISODES, first=len(episodes))
    episodes += [_promises(env, seed) for seed in more]
    assert _has_chance(episodes), f"{broken}; return the optimal return after each action"
    promises = [each for episode in episodes for each in episode]
    for action in ("", *dict.fromkeys(each.action for each in promises)):
        _check_mean(episodes, action)
    _check_each_sight(promises)


def _promises(env: AnySolvedEnv, seed: int) -> list[Promise]:
    """Play an episode without drawing; in each state, try some actions on a copy."""
    rng = np.random.default_rng(seed)
    choose = wander(rng)
    info = env.begin(seed, None)
    promises = []
    for turn in range(env.game.max_turns):
        values, facts = env.values(), info["facts"]
        seen = json.dumps([facts, env.turns_left])
        place = f"{info['instance']}, turn {turn}"
        for number in rng.permutation(len(env.legal))[:MOST_TRIES]:
            action = env.legal[int(number)]
            assert action in values, f'{place}: values() has nothing for the action "{action}"'
            twin = copy.copy(env)
            outcome = twin.advance(vlbench.reply(action))
            is_over = outcome.terminated or outcome.truncated
            rest = 0.0 if is_over else max(twin.values().values())
            came = json.dumps([outcome.reward, outcome.info["facts"]])
            promises.append(
                Promise(seen, action, values[action], outcome.reward, rest, came, place)
            )
        _, terminated, truncated, info = env.advance(choose(env))
        if terminated or truncated:
            return promises
    raise AssertionError(f"the episode goes on after {env.game.max_turns} turns, its max_turns")


def _has_chance(episodes: Sequence[Sequence[Promise]]) -> bool:
    """Whether an action has had different outcomes where the same was shown."""
    outcomes: dict[tuple[str, str], str] = {}
    return any(
        outcomes.setdefault((each.seen, each.action), each.outcome) != each.outcome
        for episode in episodes
        for each in episode
    )


def _check_mean(episodes: Sequence[Sequence[Promise]], action: str) -> None:
    """Check that nothing is promised too high or too low on average; "" is any action.

    The turns of an episode share what is hidden, so that its surpluses count together.
    """
    sums: defaultdict[int, float] = defaultdict(float)
    turns = 0
    for number, episode in enumerate(episodes):
        for each in episode:
            if action in ("", each.action):
                sums[number] += each.surplus
                turns += 1
    if len(sums) < 2:
        return
    surpluses = np.array(list(sums.values()))
    error = float(surpluses.std(ddof=1)) / math.sqrt(len(surpluses))
    mean = float(surpluses.mean())
    assert abs(mean) <= MOST_ERRORS * error + TOLERANCE, (
        f"over {turns} turns of {len(sums)} episodes, values() promises "
        f"{'too much' if mean < 0 else 'too little'}"
        + (f' for "{action}"' if action else "")
        + f": {mean:+.3f} ± {error:.3f} an episode comes beyond the promise; return the expected "
        "optimal return after each action"
    )


def _check_each_sight(promises: Sequence[Promise]) -> None:
    """Check the mean surplus of each action where the same was shown, by Hoeffding's inequality.

    It holds for every distribution of the surplus, so that a rare outcome raises no false alarm.
    """
    groups: defaultdict[tuple[str, str], list[Promise]] = defaultdict(list)
    for each in promises:
        groups[each.seen, each.action].append(each)
    came = [each.reward + each.rest for each in promises]
    spread = max(came) - min(came)
    for (seen, action), group in groups.items():
        mean = sum(each.surplus for each in group) / len(group)
        bound = spread * math.sqrt(math.log(2 / FALSE_ALARM) / (2 * len(group)))
        assert abs(mean) <= bound + TOLERANCE, (
            f'{group[0].place}: values() promises {group[0].promised:g} for "{action}" where '
            f"[facts, turns left] are {seen}; in {len(group)} such states {mean:+.3f} comes beyond "
            "the promise; return the expected optimal return after each action"
        )
