"""The registered ids as test parameters; an id that needs a heavy extra is marked slow."""

import pytest

import vlbench
from vlbench.scoring import CARD_TASKS

ALFWORLD = "vlbench/ALFWorld-v0"

EVERY_ID = [
    pytest.param(env_id, marks=() if env_id in CARD_TASKS else pytest.mark.slow)
    for env_id in vlbench.ENV_IDS
]

every_env = pytest.mark.parametrize("env_id", EVERY_ID)
