"""The window of `play`: pictures above a line of text, and which keys are down. It needs pygame."""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from ..errors import UsageError

TAB, AGAIN, ESCAPE = pygame.K_TAB, pygame.K_r, pygame.K_ESCAPE
MOUSE = -1  # the left button, among the codes of the keys
_LINE = 40  # pixels below the picture, for the text
_NARROWEST, _LARGEST = 760, (960, 720)  # pixels: the width that the text needs, and what a picture is enlarged to
_GROUND, _TEXT, _ALERT = (24, 26, 30), (225, 228, 232), (255, 190, 90)
_REPEAT_AFTER = 300  # milliseconds that a key is down before it counts again


def codes(keys: Any) -> frozenset[int]:
    """Returns pygame's codes for keys that are down together.

    Args:
        keys: as in Gymnasium, a code, a string of one character a key, or a tuple of these; a string may also be
            pygame's name of one key, such as "left" or "space". An empty one is no key at all.
    """
    if isinstance(keys, str):
        try:
            return frozenset([pygame.key.key_code(keys)])
        except ValueError:
            return frozenset(map(ord, keys))
    return frozenset().union(*map(codes, keys)) if isinstance(keys, tuple) else frozenset([keys])


def names(keys: Iterable[int]) -> str:
    """Returns the names of keys that are down together."""
    return "+".join("mouse" if key == MOUSE else pygame.key.name(key) or str(key) for key in sorted(keys)) or "no key"


def open_display() -> None:
    """Connects to the screen; raises UsageError where there is none."""
    try:
        pygame.display.init()
        unseen = pygame.display.get_driver() in ("dummy", "offscreen") and not os.environ.get("SDL_VIDEODRIVER")
    except pygame.error:
        unseen = True
    if unseen:
        raise UsageError("play needs a screen, and there is none: run it on a desktop, or over `ssh -X`")


class Window:
    """A picture above a line of text; it may be resized.

    Attributes:
        held: the codes of the keys that are down, in the order in which they were pressed.
        pointer: where the mouse is, in widths and heights of the picture from its upper left corner.
    """

    def __init__(self, title: str, picture: np.ndarray, fps: int) -> None:
        pygame.font.init()
        self._font, self._clock, self._fps = pygame.font.Font(None, 24), pygame.time.Clock(), fps
        screen = pygame.display.get_desktop_sizes()[0]
        room = [min(most, 85 * pixels // 100) for most, pixels in zip(_LARGEST, screen, strict=True)]
        width, height = _fit(picture, *room)
        self._screen = pygame.display.set_mode((max(width, _NARROWEST), height + _LINE), pygame.RESIZABLE)
        self._place = self._screen.get_rect()
        self.held: list[int] = []
        self.pointer: tuple[float, ...] = (0.5, 0.5)
        pygame.display.set_caption(title)
        pygame.key.set_repeat(_REPEAT_AFTER, max(1000 // fps, 1))

    def pressed(self) -> list[int]:
        """Waits until the next picture is due; returns what was pressed. Closing the window is Escape."""
        self._clock.tick(self._fps)
        new = []
        for event in pygame.event.get():
            if event.type in (pygame.MOUSEMOTION, pygame.MOUSEBUTTONDOWN):
                place = np.subtract(event.pos, self._place.topleft) / self._place.size
                self.pointer = tuple(np.clip(place, 0, 1).tolist())
            if event.type == pygame.QUIT:
                new.append(ESCAPE)
            elif event.type == pygame.WINDOWFOCUSLOST:  # it won't be told when they go up
                self.held.clear()
            elif event.type in (pygame.KEYDOWN, pygame.KEYUP) or getattr(event, "button", 0) == pygame.BUTTON_LEFT:
                key = getattr(event, "key", MOUSE)
                self.held = [other for other in self.held if other != key]
                if event.type in (pygame.KEYDOWN, pygame.MOUSEBUTTONDOWN):
                    self.held.append(key)
                    new.append(key)
        return new

    def show(self, picture: np.ndarray, text: str, alert: bool) -> None:
        """Draws a picture, an array of shape (height, width, 3), uint8, and the text below it."""
        self._screen.fill(_GROUND)
        width, height = self._screen.get_size()
        self._place.size = _fit(picture, width, height - _LINE)
        self._place.center = width // 2, (height - _LINE) // 2
        image = pygame.image.frombuffer(picture.tobytes(), picture.shape[1::-1], "RGB")
        scale = pygame.transform.scale if self._place.width >= image.get_width() else pygame.transform.smoothscale
        self._screen.blit(scale(image, self._place.size), self._place)
        line = self._font.render(text, True, _ALERT if alert else _TEXT)
        self._screen.blit(line, (12, height - (_LINE + line.get_height()) // 2))
        pygame.display.flip()


def _fit(picture: np.ndarray, width: int, height: int) -> tuple[int, int]:
    """Returns the size of a picture where there is so much room; enlarged, its pixels stay squares."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    scale = int(scale) if scale > 1 else scale
    return max(int(picture.shape[1] * scale), 1), max(int(picture.shape[0] * scale), 1)
