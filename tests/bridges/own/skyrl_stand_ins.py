"""Stand-ins for what SkyRL imports and a CPU lacks; pytest loads it before SkyRL."""

import sys
import types
import typing
from importlib.machinery import ModuleSpec

import transformers.modeling_utils  # noqa: F401  # before flash_attn seems to be there
import typing_extensions

# SkyRL 0.3.0 declares Python >= 3.11, where pydantic refuses typing's own TypedDict.
typing.TypedDict = typing_extensions.TypedDict


def stand_in(name, **members):
    """Put a module in place of a package that needs CUDA."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        own = ".".join(parts[:end])
        sys.modules.setdefault(own, types.ModuleType(own)).__spec__ = ModuleSpec(own, None)
    vars(sys.modules[name]).update(members)


class Features:
    """What SkyRL decodes of a picture that the server rendered."""

    def __init__(self, data):
        self.data = data

    def get_data(self):
        return self.data


RENDERED = {}
stand_in("vllm.entrypoints.serve.disagg.mm_serde", decode_mm_kwargs_item=RENDERED.__getitem__)
stand_in("flash_attn.bert_padding", pad_input=None, unpad_input=None)
