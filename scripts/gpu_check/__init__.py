"""Run PPO on 7B models with random weights: `python -m scripts.gpu_check`."""

import agents.vlm  # noqa: F401  # before transformers is imported
