"""Training: a tiny LLaVA, expert transcripts, supervised fine-tuning, and PPO."""

import agents.vlm  # noqa: F401  # before anything here imports transformers

TRAINER = 2
"""Version of the training's arithmetic; results of different versions are never mixed.

1: one ratio a turn against log-probabilities recorded at sampling. 2: these are scored again and
weigh the turns, gradients of model and value head are clipped apart, ratios of negative advantages
are bounded, the KL penalty is estimated from sampled tokens.
"""
