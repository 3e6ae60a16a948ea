"""Makes docs/terminal.svg again, in a minute: the worked example from its template to a policy, as a terminal shows it.

Lines appear as they did, but for waits of more than MOST_S, which are cut short.
How to run: `make test` once, `.venv/bin/python -m pip install pyte`, then `.venv/bin/python tools/film_terminal.py`.
"""

import fcntl
import html
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pyte

TEMPLATE = Path(__file__).parents[1]
sys.path.insert(0, str(TEMPLATE / "tests"))

from conftest import BakedProject, clean_environment  # noqa: E402

PICTURE = TEMPLATE / "docs" / "terminal.svg"
BAKE = 'cookiecutter cookiecutter-rllib-env --no-input project_name="Corridor Demo" starter=corridor'
COMMANDS = ("check", "train --name first", "evaluate first")
COLUMNS, ROWS = 120, 200
MOST_S = 1.5  # between two lines
CHARACTER, LINE, MARGIN = 8.4, 20, 20  # pixels
# Where nothing moves (reduced motion, a viewer without CSS animations), all lines are there from the start.
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">
<title>The worked example is baked, checked, trained and evaluated in a terminal</title>
<style>
text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre;
  fill: #d1d7e0 }}
rect {{ fill: #151b23 }}
.typed {{ fill: #7ee787; font-weight: bold }}
g {{ animation: shown 1ms backwards }}
@keyframes shown {{ from {{ visibility: hidden }} }}
@media (prefers-reduced-motion: reduce) {{ g {{ animation: none }} }}
</style>
<rect x="1" y="1" width="{inner_width:.0f}" height="{inner_height}" rx="8" stroke="#3d444d"/>
{lines}
</svg>
"""


class Film:
    """A terminal, and what has been in each of its rows from when on."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._typed: set[int] = set()
        self._shown: dict[int, dict[float, str]] = {}
        self._now = 0.0

    def take(self, typed: str, line: list[str], cwd: Path, **environment: str) -> None:
        """Shows what is typed, runs what it stands for, and shows what is printed."""
        self._typed.add(self._screen.cursor.y)
        self._show(f"$ {typed}\r\n".encode(), MOST_S)
        for output, seconds in printed_by(line, cwd, clean_environment() | environment):
            self._show(output, min(seconds, MOST_S))
        self._show(b"\r\n", 0)

    def _show(self, output: bytes, seconds: float) -> None:
        self._now += seconds
        self._screen.dirty.clear()
        self._stream.feed(output)
        for row in self._screen.dirty:
            versions, text = self._shown.setdefault(row, {}), self._screen.display[row].rstrip()
            if text != next(reversed(versions.values()), ""):
                versions[self._now] = text

    def svg(self) -> str:
        """Returns the picture: a row's later text lies on its earlier one."""
        rows = {row: versions for row, versions in self._shown.items() if versions}
        width = CHARACTER * max(len(text) for versions in rows.values() for text in versions.values())
        height = LINE * (max(rows) + 1)
        lines = []
        for row, versions in rows.items():
            kind, top = 'class="typed" ' if row in self._typed else "", MARGIN + LINE * row
            for number, (seconds, text) in enumerate(versions.items()):
                cover = f'<rect x="{MARGIN}" y="{top}" width="{width:.0f}" height="{LINE}"/>' if number else ""
                place = f'x="{MARGIN}" y="{top + 14}" textLength="{CHARACTER * len(text):.0f}"'
                lines.append(f'<g style="animation-delay: {seconds:.1f}s">{cover}')
                lines[-1] += f"<text {kind}{place}>{html.escape(text, quote=False)}</text></g>"
        width, height = width + 2 * MARGIN, height + 2 * MARGIN
        size = {"width": width, "height": height, "inner_width": width - 2, "inner_height": height - 2}
        return SVG.format(**size, lines="\n".join(lines))


def printed_by(line: list[str], cwd: Path, environment: dict[str, str]) -> Iterator[tuple[bytes, float]]:
    """Runs a command in a terminal of its own; yields what it prints, and the seconds since it printed before."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
    environment |= {"TERM": "xterm-256color"}
    process = subprocess.Popen(line, cwd=cwd, env=environment, stdin=its, stdout=its, stderr=its)
    os.close(its)
    before = time.monotonic()
    while True:
        try:
            output = os.read(ours, 65536)
        except OSError:  # Linux: nobody has the other end any more
            break
        if not output:
            break
        yield output, time.monotonic() - before
        before = time.monotonic()
    os.close(ours)
    if process.wait():
        raise SystemExit(f"{' '.join(line)} ended with {process.returncode}")


if __name__ == "__main__":
    film = Film()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "cookiecutter-rllib-env").symlink_to(TEMPLATE)
        words = ["cookiecutter-rllib-env", "--no-input", "project_name=Corridor Demo", "starter=corridor"]
        film.take(BAKE, [sys.executable, "-m", "cookiecutter", *words], Path(folder), HOME=folder)
        project = BakedProject(Path(folder, "corridor-demo"), "corridor_demo").install()
        for command in COMMANDS:
            line = ["-m", project.package, *command.split()]
            film.take(f"python {' '.join(line)}", [str(project.python), *line], project.path)
    PICTURE.write_text(film.svg(), encoding="utf-8")
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")
