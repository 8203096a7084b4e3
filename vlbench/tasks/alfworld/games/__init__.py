"""Where ALFWorld games come from: generated rooms and the official data."""
