"""What `leaderboard.pack` writes an entry with."""
