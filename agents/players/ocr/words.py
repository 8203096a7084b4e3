"""What a general text recognizer reads in a picture, word by word, with its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vlbench.records import ModelInfo
from vlbench.records.provenance import package_versions

PACKAGE = "rapidocr-onnxruntime"
MISSING = f'the ocr agent needs {PACKAGE}: pip install "vlbench[ocr]" ({{error}})'
ENLARGED = 2
"""Pictures are read at this many times their size; at their own size single digits get lost."""
LEAST_SCORE = 0.2
"""Words that the recognizer is less sure of are left out."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word and the box around it, in pixels of the picture."""

    text: str
    score: float
    """How sure the recognizer is, 0..1."""
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Height of the box."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Middle of the box, downwards."""
        return (self.top + self.bottom) / 2


class Recognizer:
    """RapidOCR with the weights of PP-OCRv4 that come in its wheel, in one thread.

    Raises:
        ValueError: The package isn't installed.
    """

    def __init__(self) -> None:
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as error:
            raise ValueError(MISSING.format(error=error)) from error
        self._read: Any = RapidOCR(
            intra_op_num_threads=1, inter_op_num_threads=1, text_score=LEAST_SCORE
        )

    def read(self, image: npt.NDArray[np.uint8]) -> list[Word]:
        """Return the words of a picture, from the top down.

        Args:
            image: (H, W, 3) uint8, RGB.
        """
        height, width, _ = image.shape
        size = (width * ENLARGED, height * ENLARGED)
        large = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        found, _ = self._read(large[:, :, ::-1], use_cls=False)  # it takes BGR
        words = [_word(corners, text, float(score)) for corners, text, score in found or ()]
        return sorted(words, key=lambda word: (word.top, word.left))


def _word(corners: Sequence[Sequence[float]], text: str, score: float) -> Word:
    across = [float(x) / ENLARGED for x, _ in corners]
    down = [float(y) / ENLARGED for _, y in corners]
    return Word(text.strip(), score, min(across), min(down), max(across), max(down))


def model_info() -> ModelInfo:
    """Return what identifies the weights: the wheel, and a hash of its models.

    Raises:
        ValueError: The package isn't installed.
    """
    spec = find_spec("rapidocr_onnxruntime")
    if spec is None or spec.origin is None:
        raise ValueError(MISSING.format(error="not found"))
    models = sorted(Path(spec.origin).parent.glob("models/*.onnx"))
    lines = [f"{path.name} {sha256(path.read_bytes()).hexdigest()}\n" for path in models]
    return ModelInfo(
        checkpoint=f"pypi:{PACKAGE}@{version(PACKAGE)}",
        weights_hash=sha256("".join(lines).encode()).hexdigest(),
        dtype="float32",
        device="cpu",
        picture_size=f"{300 * ENLARGED}x{300 * ENLARGED}",
        versions=package_versions((PACKAGE, "onnxruntime")),
    )
