"""Arithmetic formulas on cards: the shared part of EZPoints and Points24."""
