"""A CPU as a platform of verl, which ships none: its FSDP engine then trains on it.

verl imports this module where VERL_USE_EXTERNAL_MODULES names it.
"""

import torch
from verl.plugin.platform.platform_cuda import PlatformCUDA
from verl.plugin.platform.platform_manager import PlatformRegistry


@PlatformRegistry.register("cpu")
class PlatformCPU(PlatformCUDA):
    """A CPU as a platform of verl, which ships none: its FSDP engine then trains on it."""

    device_name = "cpu"
    device_module = torch.cpu

    def current_device(self):
        return "cpu"

    def device_count(self):
        return 1

    def set_device(self, device_index):
        pass

    def empty_cache(self):
        pass

    def communication_backend_name(self):
        return "gloo"
