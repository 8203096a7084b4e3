"""What stands before an episode's first prompt: a system prompt, and examples with replies.

A run's header holds it (`vlbench.records.Preamble`). The examples are turns of the task's expert on
rows of the split `train`, which are frozen in the task's folder.
"""

from vlbench.preamble.opening import Opening, make_preamble, read_prompt
from vlbench.preamble.shots import MOST_SHOTS, SHOTS, draw_shot, shot_rows

__all__ = [
    "MOST_SHOTS",
    "SHOTS",
    "Opening",
    "draw_shot",
    "make_preamble",
    "read_prompt",
    "shot_rows",
]
