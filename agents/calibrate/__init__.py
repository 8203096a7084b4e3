"""How much of a suite is reading, and how much is deciding? Untrained players on frozen rows.

`python -m agents.calibrate` plays them and writes a line of results for each; `lines` has players
and lines, and `page` renders them.
"""
