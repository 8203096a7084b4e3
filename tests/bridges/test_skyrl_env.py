"""The bridge to SkyRL, with the real package in an environment of its own."""

from pathlib import Path

import pytest
from support.venvs import own_python, run_tests

OWN = Path(__file__).parent / "own"
PACKAGES = [
    "torch==2.13.0",
    "transformers==5.8.0",
    "numpy==2.4.6",
    "pillow>=10",
    "gymnasium>=1.1,<2",
    "pytest>=8",
    "ray==2.56.0",
    "tensordict==0.15.3",
    "torchdata==0.11.0",
    "datasets==5.2.0",
    "peft==0.18.1",
    "accelerate==1.15.0",
    "hydra-core==1.3.2",
    "omegaconf==2.3.0",
    "jaxtyping==0.3.11",
    "loguru",
    "func_timeout",
    "uvicorn",
    "fastapi",
    "aiohttp",
]


@pytest.mark.slow
def test_skyrls_generator_plays_and_its_model_trains_with_a_picture_in_every_turn():
    python = own_python("skyrl", PACKAGES, alone=["skyrl==0.3.0", "skyrl-gym==0.4.0"])
    plugin = {"PYTEST_PLUGINS": "skyrl_stand_ins"}
    code, output = run_tests(python, OWN / "skyrl_contract.py", [OWN], **plugin)
    assert code == 0, output[-6000:]
