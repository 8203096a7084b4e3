"""Vision-language models as agents: loading, encoding, sampling and scoring; no training."""

from agents.vlm.torchvision_import import tolerate_missing_operators

tolerate_missing_operators()  # before anything here imports transformers
