"""The registered ids as test parameters; those that need an extra are marked slow."""

import pytest

import vlbench
from vlbench.registry import needed_extra
from vlbench.suites import shipped_suites

ALFWORLD = "vlbench/ALFWorld-v0"

EVERY_ID = [
    pytest.param(env_id, marks=pytest.mark.slow if needed_extra(env_id) else ())
    for env_id in vlbench.ENV_IDS
]
LIGHT_IDS = [env_id for env_id in vlbench.ENV_IDS if not needed_extra(env_id)]

EVERY_SET = [
    pytest.param(env_id, suite, marks=pytest.mark.slow if needed_extra(env_id) else ())
    for env_id in vlbench.ENV_IDS
    for suite in shipped_suites(env_id)
]
LIGHT_SETS = [(env_id, suite) for env_id in LIGHT_IDS for suite in shipped_suites(env_id)]

every_env = pytest.mark.parametrize("env_id", EVERY_ID)
every_light_env = pytest.mark.parametrize("env_id", LIGHT_IDS)
every_set = pytest.mark.parametrize(("env_id", "suite"), EVERY_SET)
every_light_set = pytest.mark.parametrize(("env_id", "suite"), LIGHT_SETS)
