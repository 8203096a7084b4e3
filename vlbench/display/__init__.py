"""Presentation of runs: numbers as text, and recorded episodes in a viewer."""
