"""Observations as a model's inputs."""

from agents.vlm.encoding.encoded import EncodedPicture, EncodedPrompt, pictures_of, pixels
from agents.vlm.encoding.encoder import Encoder, special_ids

__all__ = ["EncodedPicture", "EncodedPrompt", "Encoder", "pictures_of", "pixels", "special_ids"]
