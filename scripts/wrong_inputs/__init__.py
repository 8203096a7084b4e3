"""Inputs that once went badly: wrong calls, foreign files, damaged runs, and what must come.

`python -m scripts.wrong_inputs` gives each of them to the present code.
"""
