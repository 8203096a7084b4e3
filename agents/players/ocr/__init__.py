"""A pipeline that no training touched: a general text recognizer, and the tasks' solvers.

`words` reads a picture, `cards` finds playing cards among the words, `tasks` says what they mean
and decides, and `agent` is the player.
"""
