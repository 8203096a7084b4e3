"""Arithmetic formulas on cards: what EZPoints and Points24 share."""
