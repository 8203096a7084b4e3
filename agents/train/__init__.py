"""Training: a tiny LLaVA, expert transcripts, supervised fine-tuning, and PPO."""
