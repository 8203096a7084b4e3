"""Ask a model again what it answered in a leaderboard entry: `python -m agents.rerun`."""
