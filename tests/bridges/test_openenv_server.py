"""The bridge to OpenEnv, with the real package in an environment of its own."""

from pathlib import Path

import pytest
from support.venvs import own_python, run_tests

CONTRACT = Path(__file__).parent / "own" / "openenv_contract.py"
PACKAGES = ["openenv==0.10.0", "gymnasium>=1.1,<2", "numpy==2.4.6", "pillow>=10", "pytest>=8"]


@pytest.mark.slow
def test_a_server_passes_the_validator_and_shows_the_same_pictures():
    code, output = run_tests(own_python("openenv", PACKAGES), CONTRACT)
    assert code == 0, output[-6000:]
