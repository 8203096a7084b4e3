"""A window that shows frames, for `render_mode="human"` and for `vlbench.play`."""

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
"""Screen pixels per frame pixel, horizontally and vertically."""

FRAMES_PER_SECOND = 4
"""Maximum rate of `show`, so that a person can follow."""


class Window:
    """A window with an upscaled frame and an optional margin beside it.

    pygame has one window per process: a second `Window` takes over the first one's.

    Args:
        title: Title of the window.
        margin: Width of an empty strip to the right of the frame, in screen pixels.
        needs_screen: Whether to refuse a machine without a screen, where SDL draws in memory. By
            default the window opens there too, as those of Gymnasium's environments do.

    Raises:
        ValueError: SDL can't open a window, or one that needs a screen has none.
    """

    def __init__(self, title: str, margin: int = 0, needs_screen: bool = False) -> None:
        self.title = title
        self._needs_screen = needs_screen
        self.size = (SCALE * SIZE + margin, SCALE * SIZE)
        self.closed = False
        """Whether the window was closed, by the user or by `close`."""
        self._clock = pygame.time.Clock()
        self._open()

    @property
    def surface(self) -> pygame.Surface:
        """The surface that the next `pygame.display.flip()` shows."""
        surface = pygame.display.get_surface()
        if surface is None or surface.get_size() != self.size:
            return self._open()
        return surface

    def paint(self, frame: Frame) -> None:
        """Draw a frame at the left of the surface, without flipping."""
        small = pygame.image.frombuffer(frame.tobytes(), frame.shape[1::-1], "RGB")
        large = pygame.transform.scale(small, (SCALE * SIZE, SCALE * SIZE))
        self.surface.blit(large, (0, 0))

    def show(self, frame: Frame) -> None:
        """Show a frame for at least 1/FRAMES_PER_SECOND seconds.

        Once the user has closed the window it does nothing; the episode goes on.
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
            in_memory = pygame.display.get_driver() == "offscreen"
            if self._needs_screen and in_memory and "SDL_VIDEODRIVER" not in os.environ:
                raise pygame.error("there is no screen")  # SDL would draw where nobody looks
            surface = pygame.display.set_mode(self.size)
        except pygame.error as error:
            pygame.display.quit()
            raise ValueError(
                f"can't open a window: {error}; SDL_VIDEODRIVER=dummy does without a screen"
            ) from error
        pygame.display.set_caption(self.title)
        return surface
