"""Other people's Gymnasium environments as vlbench tasks; `vlbench.adapt` is `adapt`.

    import minigrid, vlbench

    vlbench.adapt(
        "MiniGrid-Empty-5x5-v0",
        actions=("left", "right", "forward"),
        prompt='… Answer with {"thoughts": …, "action": "left", "right" or "forward"}',
        id="my/Empty-v0",
    )

In a module `my_minigrid`, that is `--env my_minigrid:my/Empty-v0` for every command.
"""

from vlbench.adapters.adapted_env import AdaptedEnv, Ending
from vlbench.adapters.registration import Recipe, adapt
from vlbench.adapters.repeats import not_replayable

__all__ = ["AdaptedEnv", "Ending", "Recipe", "adapt", "not_replayable"]
