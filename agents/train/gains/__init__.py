"""What PPO adds to a start, and what else would have: `python -m agents.train.gains`."""
