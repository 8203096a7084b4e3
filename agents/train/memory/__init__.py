"""Estimates of a run's memory, without weights: `ppo --estimate-memory`."""

from agents.train.memory.report import estimate_memory

__all__ = ["estimate_memory"]
