"""Training: a tiny LLaVA, expert transcripts, supervised fine-tuning, and PPO."""

import agents.vlm  # noqa: F401  # before anything here imports transformers
