"""The sources of ALFWorld games: a generator and the official data."""
