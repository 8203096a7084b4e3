"""Let torchvision be imported beside a torch that can't load its compiled operators.

PyPI's torchvision for Linux is built for CUDA. Beside a CPU build of torch its library doesn't
load. Importing torchvision then fails with `operator torchvision::nms does not exist`, and with it
every class of transformers that looks for torchvision. Processors of pictures need none of these
operators, so the two that the import asks for are declared, without code.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

OPERATORS = ("nms", "qnms")
"""Operators that torchvision registers at its import, whether they are loaded or not."""
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class Declarer(MetaPathFinder):
    """Declares missing operators just before torchvision registers them; finds no module."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Declare the operators when torchvision's registrations are imported; return None."""
        if name == "torchvision._meta_registrations":
            sys.meta_path.remove(self)
            declare_missing()
        return None


def declare_missing() -> None:
    """Declare torchvision's operators if its library didn't load; it then refuses their use."""
    import torch

    if not importlib.import_module("torchvision.extension")._has_ops():
        for name in OPERATORS:
            torch.library.define(f"torchvision::{name}", SCHEMA)


def tolerate_missing_operators() -> None:
    """Prepare a later import of torchvision; imports nothing itself."""
    if "torchvision" not in sys.modules:
        sys.meta_path.insert(0, Declarer())
