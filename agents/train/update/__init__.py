"""The update of PPO: `update` improves a `Learner`'s policy on a rollout."""

from agents.train.update.epochs import update
from agents.train.update.learner import Learner, build_learner

__all__ = ["Learner", "build_learner", "update"]
