"""A window that shows frames: `render_mode="human"`, and the ground that a person plays on."""

import os

from vlbench.task import SIZE, Frame

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # stdout is for results
try:
    import pygame
except ImportError:
    raise ImportError(
        'a window needs pygame; install it with: pip install "vlbench[play]"'
    ) from None

__all__ = ["FRAMES_PER_SECOND", "SCALE", "Window", "pygame"]

SCALE = 2
"""Screen pixels to a frame's pixel, each way."""

FRAMES_PER_SECOND = 4
"""How fast `show` lets frames follow one another, so that an eye can follow too."""


class Window:
    """A window with a frame, upscaled with crisp pixels, and perhaps a margin beside it.

    pygame has one window a process: a second `Window` takes over the first one's.

    Args:
        title: What the window's bar says.
        margin: Width of an empty strip right of the frame, in screen pixels.

    Raises:
        ValueError: There is no screen to open a window on.
    """

    def __init__(self, title: str, margin: int = 0) -> None:
        self.title = title
        self.size = (SCALE * SIZE + margin, SCALE * SIZE)
        self.closed = False
        """Whether the window was closed, by the person who looks or by `close`."""
        self._clock = pygame.time.Clock()
        self._open()

    @property
    def surface(self) -> pygame.Surface:
        """What is on the screen after the next `pygame.display.flip()`."""
        surface = pygame.display.get_surface()
        if surface is None or surface.get_size() != self.size:
            return self._open()
        return surface

    def paint(self, frame: Frame) -> None:
        """Draw a frame at the left, without flipping."""
        small = pygame.image.frombuffer(frame.tobytes(), frame.shape[1::-1], "RGB")
        large = pygame.transform.scale(small, (SCALE * SIZE, SCALE * SIZE))
        self.surface.blit(large, (0, 0))

    def show(self, frame: Frame) -> None:
        """Show a frame, and stay on it for a moment.

        Does nothing once the person who looks has closed the window: the episode goes on unseen.
        """
        if self.closed:
            return
        self.paint(frame)
        pygame.display.flip()
        self._clock.tick(FRAMES_PER_SECOND)
        if any(event.type == pygame.QUIT for event in pygame.event.get()):
            self.close()

    def close(self) -> None:
        """Close the window; it stays closed."""
        if not self.closed:
            self.closed = True
            pygame.display.quit()

    def _open(self) -> pygame.Surface:
        try:
            pygame.display.init()
            if pygame.display.get_driver() == "offscreen" and "SDL_VIDEODRIVER" not in os.environ:
                raise pygame.error("there is no screen")  # SDL would draw where nobody looks
            surface = pygame.display.set_mode(self.size)
        except pygame.error as error:
            pygame.display.quit()
            raise ValueError(
                f"can't open a window: {error}; SDL_VIDEODRIVER=dummy does without a screen"
            ) from error
        pygame.display.set_caption(self.title)
        return surface
