"""The LLaVA that tests of training start from."""

from agents.train import tiny


def small_checkpoint(folder, **changes):
    """Write it into a folder, which is returned."""
    small = {"width": 32, "vision_layers": 1, "text_layers": 1, "heads": 2, "image_size": 48}
    tiny.build(tiny.Config(out=folder, **{**small, **changes}))
    return folder
