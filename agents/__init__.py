"""Agents of vlbench: the players, the harness that runs them, and the `vlbench` command."""
