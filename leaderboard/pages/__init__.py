"""What the pages of the leaderboard show."""
