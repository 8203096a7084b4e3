"""The untrained LLaVA checkpoint that tests of training start from."""

from agents.train import tiny


def small_checkpoint(folder, **changes):
    """Write the checkpoint into a folder, and return the folder."""
    small = {"width": 32, "vision_layers": 1, "text_layers": 1, "heads": 2, "image_size": 48}
    tiny.build(tiny.Config(out=folder, **{**small, **changes}))
    return folder
