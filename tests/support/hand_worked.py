"""A small run with turns of every kind, written down as records; test_scoring works it out."""

import dataclasses

from support.env_ids import ALFWORLD
from support.sample_episodes import expert, header, play

import vlbench
from vlbench.records import Reply
from vlbench.scoring import score

RECORDED = play(vlbench.CARD_IDS[0], 0, expert)
"""An episode whose fields that scoring doesn't read are kept; see `turn` and `episode`."""


COSTS = {"prompt_tokens": 100, "completion_tokens": 20, "usd": 0.01, "seconds": 1.0}
"""What a reply costs unless something else is said."""

PLAIN = {"status": "ok", "recovered": False, "illegal": False, "strict": True}
"""How a reply is read unless something else is said."""


def turn(action="look", reward=0.0, regret=0.0, cause="", reply=None, **reading):
    return dataclasses.replace(
        RECORDED.turns[0],
        reply=Reply("", **{**COSTS, **(reply or {})}),
        action=action,
        reward=reward,
        regret=regret,
        cause=cause,
        **{**PLAIN, **reading},
    )


def unread(status, stop_reason="stop"):
    return turn("", -1.0, 1.0, "format", {"stop_reason": stop_reason}, status=status)


def episode(instance, turns, *, success, end="terminated", error=""):
    return dataclasses.replace(
        RECORDED,
        env_id=ALFWORLD,
        kwargs={},
        instance=instance,
        presentation=7,
        row=0,
        turns=tuple(turns),
        success=success,
        end=end,
        error=error,
    )


SLOW = {"seconds": 2.0}

PLAYED = (
    # Solved, return 0.5 + 50 = 50.5. Two replies were read through a leniency and one out of a
    # fence, so the strict level reads three of four turns differently. Each reply took 2 s.
    episode(
        "alfworld/pick/1-1",
        [
            turn(reward=0.5, reply=SLOW),
            turn(regret=0.25, cause="decision", recovered=True, strict=False, reply=SLOW),
            turn(regret=0.25, cause="decision", recovered=True, strict=False, reply=SLOW),
            turn(reward=50.0, strict=False, reply=SLOW),
        ],
        success=True,
    ),
    # Seven replies that can't be read at any level: return −7, regret 7.
    episode(
        "alfworld/heat/2-1",
        [
            *[unread("unknown")] * 2,
            *[unread("truncated", stop_reason="length")] * 3,
            *[unread("malformed")] * 2,
        ],
        success=False,
        end="truncated",
    ),
    # Not solved, yet its return is −3 + 4 = 1: three illegal actions and a good one, each read
    # through a leniency.
    episode(
        "alfworld/heat/2-2",
        [
            *[turn("fly", -1.0, 1.0, "perception", illegal=True, recovered=True, strict=False)] * 3,
            turn(reward=4.0, regret=0.5, cause="inconsistent", recovered=True, strict=False),
        ],
        success=False,
        end="truncated",
    ),
    # Solved, return −4 + 12 = 8, after two illegal actions, an empty reply and a refusal. The last
    # reply's prompt tokens aren't known.
    episode(
        "alfworld/heat/2-3",
        [
            *[turn("fly", -1.0, 1.0, "unattributed", illegal=True)] * 2,
            unread("empty"),
            unread("empty", stop_reason="refused"),
            turn(reward=12.0, reply={"prompt_tokens": None}),
        ],
        success=True,
    ),
)
"""Four episodes with 4 + 7 + 4 + 5 = 20 turns; each kind of turn stands there in another number."""

ERRORED = episode(
    "alfworld/clean/3-1",
    [turn(reward=99.0, reply={"usd": 9.0})],
    success=False,
    end="errored",
    error="boom",
)


def hand_worked(episodes):
    """Return the scorecard of some of these episodes."""
    (card,) = score(
        header(agent="by hand", env_ids=[ALFWORLD], prompt="action_only", theme="comic"), episodes
    )
    return card
