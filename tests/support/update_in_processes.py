"""A program for torchrun: updates a policy on the rollout saved in the folder of its argument."""

import json
import pickle
import sys
from pathlib import Path

import torch

from agents.train import ppo
from agents.train.distributed import Processes
from agents.train.rollout_buffer import RolloutBuffer
from agents.train.update import Learner, update
from agents.train.update.reference import load_reference


def update_rollout(folder, processes):
    """Update the policy; return its weights and the update's metrics."""
    torch.set_num_threads(1)
    options = json.loads((folder / "config.json").read_text("utf-8"))
    config = ppo.Config(**{**options, "out": folder})
    torch.manual_seed(processes.number)  # new weights differ until they are broadcast
    policy = ppo.build_policy(config, config.model)
    reference = load_reference(policy, config.model) if config.kl_coef else None
    weights = [weight for weight in policy.parameters() if weight.requires_grad]
    torch.manual_seed(5)
    for weight in weights:
        torch.nn.init.normal_(weight, std=0.05) if processes.main else weight.data.zero_()
    processes.broadcast_weights(weights)
    optimizer = torch.optim.Adam(weights, lr=1e-4, eps=config.adam_eps)
    shuffler = torch.Generator().manual_seed(3)
    learner = Learner(policy, reference, optimizer, shuffler, processes)

    whole = pickle.loads((folder / "rollout.pickle").read_bytes())
    share = processes.share(whole.width)
    part = RolloutBuffer(len(whole.turns), share, whole.width)
    columns = slice(share.start, share.stop)
    part.turns = [row[columns] for row in whole.turns]
    part.facts.values[:] = whole.facts.values[:, columns]
    for name in ("advantages", "returns"):
        setattr(part, name, getattr(whole, name)[:, columns])
    metrics = update(learner, part, config, critic_only=False)
    return [weight.detach() for weight in weights], metrics


if __name__ == "__main__":
    processes = Processes()
    result = update_rollout(Path(sys.argv[1]), processes)
    everyone = processes.gather(result[0])
    if processes.main:
        torch.save([everyone, result[1]], Path(sys.argv[1]) / "result.pt")
    processes.close()
