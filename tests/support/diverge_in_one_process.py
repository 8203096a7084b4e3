"""A program for torchrun: `ppo` whose second process meets a logit that is no number."""

import sys

from agents.train import ppo
from agents.train.distributed import Processes
from agents.vlm.policy import Policy


def write_nothing(self, prompts, generator=None):
    """Stand in for `Policy.generate` in the second process."""
    raise FloatingPointError("a logit of the model isn't finite")


if __name__ == "__main__":
    if not Processes().main:
        Policy.generate = write_nothing
    sys.exit(ppo.main(sys.argv[1:]))
