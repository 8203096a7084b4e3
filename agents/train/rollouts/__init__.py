"""Who writes the replies of PPO's rollouts: this process, or vLLM servers."""

from agents.train.rollouts.writers import InProcess, Writer

__all__ = ["InProcess", "Writer"]
