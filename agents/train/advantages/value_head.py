"""The value head: what a turn is expected to be worth, from the model's hidden state."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LEAST_SPREAD = 1e-6
"""Coordinates that vary by less than this share of their size aren't divided by their deviation."""


class ValueHead(nn.Module):
    """A float32 MLP from a hidden state to a value.

    The last prompt token is nearly the same text in every turn, so its hidden state is nearly a
    constant, through which a raw head learns slowly. A standardising head therefore collects the
    mean and deviation of its inputs without gradient, those of the first rollout, until
    `standardise` fixes them; from then on it reads (x − mean) / deviation. Its first values are 0
    either way.

    Args:
        width: Width of the model.
        hidden: Widths of the hidden layers.
        detach: Stop the value's gradient at the hidden state.
        standardise: Standardise the input.
    """

    mean: Tensor
    deviation: Tensor
    is_fixed: Tensor
    _sums: Tensor

    def __init__(
        self, width: int, hidden: Sequence[int], detach: bool, standardise: bool = False
    ) -> None:
        super().__init__()
        self.detach = detach
        sizes = [width, *hidden, 1]
        layers: list[nn.Module] = []
        for i, o in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(i, o), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])
        last = layers[-2]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)  # the first advantages are the returns, not noise
        nn.init.zeros_(last.bias)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.register_buffer("is_fixed", torch.tensor(not standardise))
        sums = torch.zeros(3, width, dtype=torch.float64)
        self.register_buffer("_sums", sums, persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return values (B,) float32 of hidden states (B, width)."""
        hidden = hidden.float()
        if not self.is_fixed and not torch.is_grad_enabled():
            inputs = hidden.double()
            self._sums += torch.stack([torch.ones_like(inputs), inputs, inputs**2]).sum(1)
        hidden = (hidden - self.mean) / self.deviation
        values: Tensor = self.layers(hidden.detach() if self.detach else hidden)
        return values.squeeze(-1)

    def input_sums(self) -> Tensor:
        """Return (3, width) float64 on the CPU: number, sum and sum of squares of the inputs."""
        return self._sums.cpu()

    def standardise(self, sums: Tensor) -> None:
        """Fix the mean and deviation of the inputs.

        Args:
            sums: The total of every process's `input_sums`, of at least one input.
        """
        count, total, squares = sums
        mean = total / count
        deviation = (squares / count - mean**2).clamp_min(0).sqrt()
        size = (squares / count).sqrt()
        deviation[deviation <= LEAST_SPREAD * size] = 1.0
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        self.is_fixed.fill_(True)
