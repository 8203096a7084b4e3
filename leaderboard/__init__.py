"""The leaderboard: submissions that anyone can verify by replay."""
