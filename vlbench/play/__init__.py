"""Play a task yourself, in a pygame window (extra `play`): `python -m vlbench.play TASK`."""
