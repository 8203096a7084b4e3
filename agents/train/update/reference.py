"""The frozen initial policy of a training run, for the KL penalty."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from peft import PeftModel

from agents.vlm.checkpoint_files import is_adapter
from agents.vlm.loading import load
from agents.vlm.policy import Policy
from agents.vlm.reading import add_frozen_adapter
from agents.vlm.sources import find_folder

TRAINED, START = "default", "start"
"""Names of the adapters in a model whose start was an adapter, too."""


@dataclass(frozen=True)
class Reference:
    """The frozen initial policy."""

    policy: Policy
    """A frozen copy; or the trained policy, if other adapters make it the initial one."""
    adapter: str | None
    """START, "" to use the trained policy without adapter, or None for a copy."""

    @contextmanager
    def active(self) -> Iterator[Policy]:
        """Return the initial policy; in between, the trained one may be another."""
        model = self.policy.model
        if self.adapter is None:
            yield self.policy
        elif not self.adapter:
            with model.disable_adapter():
                yield self.policy
        else:
            model.set_adapter(self.adapter, inference_mode=True)
            try:
                yield self.policy
            finally:
                model.set_adapter(TRAINED)


def load_reference(policy: Policy, checkpoint: str, trust_remote_code: bool = False) -> Reference:
    """Return the initial policy of a run.

    An adapter shares its base: the start is the base without adapter, or a second, frozen one.

    Args:
        policy: The policy that is trained.
        checkpoint: The checkpoint that the training started from.
        trust_remote_code: Run Python code shipped with the checkpoint.

    Raises:
        ValueError: The checkpoint can't be loaded.
    """
    if isinstance(policy.model, PeftModel):
        folder = find_folder(checkpoint)
        if not is_adapter(folder):
            return Reference(policy, "")
        add_frozen_adapter(policy.model, folder, START)
        return Reference(policy, START)
    initial = load(checkpoint, device=policy.device, trust_remote_code=trust_remote_code)
    initial.model.requires_grad_(False)
    copy = Policy(initial.model, initial.processor, policy.sampling)
    return Reference(copy.eval(), None)
