"""The TextWorld engine in its own process, and its client."""
