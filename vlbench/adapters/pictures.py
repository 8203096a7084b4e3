"""The picture of another environment, fitted into a frame of ours."""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from vlbench.task import SIZE, Frame


def picture_of(env: gymnasium.Env[Any, Any], observation: Any) -> Frame:
    """Return the frame of an environment's state: what it renders, or else what it observes.

    Args:
        env: The environment, made with `render_mode="rgb_array"` if its observations are no
            pictures.
        observation: Its latest observation.

    Raises:
        ValueError: Neither is a picture.
    """
    pixels = env.render() if env.render_mode == "rgb_array" else observation
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or not _has_shape(pixels):
        raise ValueError(
            'an environment to adapt must be made with render_mode="rgb_array", or observe '
            f"pixels, (height, width, 3) uint8; got {_in_words(pixels)}"
        )
    return fit(pixels)


def _has_shape(pixels: npt.NDArray[Any]) -> bool:
    is_grey = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 1)
    return pixels.size > 0 and (is_grey or (pixels.ndim == 3 and pixels.shape[2] == 3))


def _in_words(pixels: Any) -> str:
    if isinstance(pixels, np.ndarray):
        return f"an array {pixels.shape} {pixels.dtype}"
    return f"a {type(pixels).__name__}"


def fit(pixels: npt.NDArray[np.uint8]) -> Frame:
    """Scale a picture to a frame's longer side and centre it on black.

    Pixels are repeated where it grows and averaged where it shrinks, so that the same pixels give
    the same frame everywhere.

    Args:
        pixels: (height, width, 3), or (height, width) or (height, width, 1) for shades of grey.

    Returns:
        (300, 300, 3) uint8, a new array.
    """
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    height, width = (max(1, side * SIZE // max(pixels.shape[:2])) for side in pixels.shape[:2])
    if max(pixels.shape[:2]) > SIZE:
        from PIL import Image  # slow to import, and most pictures grow

        image = Image.fromarray(np.ascontiguousarray(pixels))
        scaled = np.asarray(image.resize((width, height), Image.Resampling.BOX))
    else:
        rows, columns = (
            np.arange(new) * old // new
            for new, old in zip((height, width), pixels.shape[:2], strict=True)
        )
        scaled = pixels[rows][:, columns]
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    frame[top : top + height, left : left + width] = scaled
    return frame
