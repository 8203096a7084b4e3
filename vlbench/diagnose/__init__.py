"""What a model's turns were worth, and whether a trainer's advantages saw it.

`python -m vlbench.diagnose ROLLOUTS` reads the turns that any engine played, replays them, and
compares what the engine recorded with the environment's exact values. `rollouts` reads and writes
turns, `replayed` plays them again, `credit` has the statistics of advantages, `report` those of a
task, and `text` and `page` show them.
"""
