"""Is the picture needed? Players under true, blank, shuffled and stale pictures, on frozen rows.

`python -m agents.controls` plays them and writes a line of results for each; `lines` has the lines,
and `page` renders them.
"""
