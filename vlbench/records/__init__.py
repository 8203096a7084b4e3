"""Records of episodes and runs: what was shown, what was replied, and what came of it.

Records hold texts, hashes and numbers, never pictures and never keys. `vlbench.recorder` makes
episodes, `vlbench.run_folder` headers and folders. In JSON a field that holds its default is left
out, so that a later version can add optional fields without changing a byte of what is stored; a
default never changes within a schema.
"""

from vlbench.records.episode import (
    CAUSES,
    MAX_NOTE,
    MAX_REPLY,
    SCHEMA,
    Episode,
    Failure,
    Reply,
    Turn,
    episode_key,
)
from vlbench.records.header import Challenge, ModelInfo, Preamble, RunHeader, Shard
from vlbench.records.plain_data import MAX_FLOAT, from_json, to_json

__all__ = [
    "CAUSES",
    "Challenge",
    "Episode",
    "Failure",
    "MAX_FLOAT",
    "MAX_NOTE",
    "MAX_REPLY",
    "ModelInfo",
    "Preamble",
    "Reply",
    "RunHeader",
    "SCHEMA",
    "Shard",
    "Turn",
    "episode_key",
    "from_json",
    "to_json",
]
