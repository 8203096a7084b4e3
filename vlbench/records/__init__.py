"""Records of episodes and runs: hashes of the observations, the replies, and their results.

Records hold texts, hashes and numbers, never pictures or API keys. `vlbench.recorder` makes
episodes; `vlbench.run_folder` makes headers and folders. JSON omits fields that hold their
defaults, so that a later version can add optional fields without changing stored records. A default
never changes within a schema.
"""

from vlbench.records.episode import (
    CAUSES,
    MAX_ERROR,
    MAX_NOTE,
    MAX_REPLY,
    SCHEMA,
    Episode,
    Failure,
    Reply,
    Turn,
    episode_key,
)
from vlbench.records.header import MODEL_MARK, ModelInfo, Preamble, RunHeader, Shard
from vlbench.records.plain_data import MAX_FLOAT, from_json, limits_of, to_json
from vlbench.records.run_spec import Challenge
from vlbench.records.tally import Tally, tally

__all__ = [
    "CAUSES",
    "Challenge",
    "Episode",
    "Failure",
    "MAX_ERROR",
    "MAX_FLOAT",
    "MAX_NOTE",
    "MAX_REPLY",
    "MODEL_MARK",
    "ModelInfo",
    "Preamble",
    "Reply",
    "RunHeader",
    "SCHEMA",
    "Shard",
    "Tally",
    "Turn",
    "episode_key",
    "from_json",
    "limits_of",
    "tally",
    "to_json",
]
