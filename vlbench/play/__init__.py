"""A person plays, in a window of pygame (extra `play`): `python -m vlbench.play TASK`."""
