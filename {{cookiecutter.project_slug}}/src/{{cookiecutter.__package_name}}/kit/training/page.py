"""A run, or several over one another, as one HTML file that needs no network: to be sent, printed and kept."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ..files import read_json, write_text
from ..policy.find import find_policy
from .curve import AXES, draw_curve, picture
from .run_folder import EVALUATION, SETTINGS, RunFolder

TEMPLATE = Path(__file__).with_name("page.html")
MOST_VIDEO_BYTES = 30_000_000  # a larger one is left where it lies: a page should open, and fit into a mail
RESULTS = ("ended_by", "env_steps", "seconds", "best_return", "last_return", "seconds_to_stop_return")


def write_run(folder: RunFolder) -> Path:
    """Writes report.html and learning_curve.png into a run's folder, from what lies there."""
    config, summary, evaluation = (read_if_there(folder, name) for name in ("config.json", "summary.json", EVALUATION))
    levels = {"stop return": summary.get("stop_return"), "random": evaluation.get("random", {}).get("mean")}
    levels = {name: level for name, level in levels.items() if level is not None}
    draw_curve(folder, levels)
    name = folder.path.name
    parts = [
        f"<p class=soft>{escape(config['env_id'])}, {escape(config['started'].replace('T', ' '))}</p>",
        _figure({name: folder}, levels),
        _evaluation(evaluation) if evaluation else "",
        *map(_video, _videos(folder)),
        "<h2>How it went</h2>" + _table([key.replace("_", " "), summary.get(key)] for key in RESULTS),
        "<h2>Settings</h2>",
        f"<div class=parts>{''.join(_table(config.get(part, {}).items(), caption=part) for part in SETTINGS)}</div>",
        f"<h2>Do it again</h2><pre>{escape(config['command'])}</pre>",
    ]
    return _write(folder.path / "report.html", name, parts)


def write_comparison(path: Path, folders: Mapping[str, RunFolder], rows: Sequence[Sequence[str]]) -> Path:
    """Writes a page with the curves of runs, by their names, and a table, whose first row are the names."""
    parts = [_figure(folders, {}), "<h2>What differs</h2>", _table(rows[1:], rows[0])]
    return _write(path, f"{len(folders)} runs", parts)


def read_if_there(folder: RunFolder, name: str) -> dict[str, Any]:
    """Reads one of a run's JSON files; an empty dict where there is none."""
    path = folder.path / name
    return read_json(path) if path.exists() else {}


def verdict(evaluation: Mapping[str, Any]) -> str:
    """Says in a sentence what was learned: the return of the policy beside the random one's, with their intervals."""
    policy, chance = (
        f"{one['mean']:.4g} ({one['interval'][0]:.4g} to {one['interval'][1]:.4g})"
        for one in (evaluation["policy"], evaluation["random"])
    )
    doubt = "" if evaluation["random"]["difference"]["interval"][0] > 0 else "no better than random: "
    return f"{doubt}mean return {policy} over {evaluation['episodes']} fresh episodes; a random policy gets {chance}"


def shown(value: Any) -> str:
    """Formats a value for a table."""
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)


def _write(path: Path, title: str, parts: Iterable[str]) -> Path:
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    write_text(path, template.substitute(title=escape(title), body="\n".join(parts)))
    return path


def _figure(folders: Mapping[str, RunFolder], levels: Mapping[str, float]) -> str:
    pictures = {axis: _data(picture(folders, levels, [axis], "svg"), "image/svg+xml") for axis in AXES}
    images = (f"<img alt='return over {axis}' src='{data}'>" for axis, data in pictures.items())
    return f"<figure>{''.join(images)}</figure>"


def _evaluation(evaluation: Mapping[str, Any]) -> str:
    where = f"{evaluation['checkpoint']}, from seed {evaluation['seed']}"
    players = {name: evaluation[name] for name in ("policy", "random")}
    rows = [
        [name, p["mean"], " to ".join(map(shown, p["interval"])), p["min"], p["max"]] for name, p in players.items()
    ]
    table = _table(rows, ["", "mean return", "95 % interval", "lowest", "highest"])
    return f"<h2>What was learned</h2><p>{escape(verdict(evaluation))}</p>{table}<p class=soft>{escape(where)}</p>"


def _videos(folder: RunFolder) -> list[Path]:
    """Lists the videos of the best policy as it is now."""
    since = find_policy(str(folder.path)).stat().st_mtime if folder.has_checkpoint() else 0.0
    found = ((file, file.stat()) for file in sorted(folder.path.glob("videos/*.mp4")))
    return [file for file, stat in found if stat.st_mtime >= since and stat.st_size <= MOST_VIDEO_BYTES]


def _video(file: Path) -> str:
    source = _data(file.read_bytes(), "video/mp4")
    film = f"<video controls muted loop playsinline src='{source}'></video>"
    return f"<section class=film><h2>Video: {escape(file.stem)}</h2>{film}</section>"


def _table(rows: Iterable[Sequence[Any]], head: Sequence[str] = (), caption: str = "") -> str:
    top = f"<caption>{escape(caption.replace('_', ' '))}</caption>" if caption else ""
    top += "".join(f"<th scope=col>{escape(name)}</th>" for name in head)
    body = ""
    for name, *values in rows:
        body += (
            f"<tr><th scope=row>{escape(name)}</th>{''.join(f'<td>{escape(shown(one))}</td>' for one in values)}</tr>"
        )
    return f"<div class=wide><table>{top}{body}</table></div>"


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
