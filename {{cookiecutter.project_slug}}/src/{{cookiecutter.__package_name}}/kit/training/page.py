"""A run, or several beside each other, as one HTML file that needs no network: for colleagues, print and the archive."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ..files import read_json, write_text
from ..policy.find import BEST
from .curve import draw_curve, panels
from .run_folder import RunFolder, settings_of

TEMPLATE = Path(__file__).with_name("page.html")
MOST_VIDEO_BYTES = 30_000_000  # of a file that browsers and mail still take
PANELS = {"env_steps": "return over steps", "seconds": "return over time"}
RESULTS = (
    "ended_by",
    "env_steps",
    "seconds",
    "steps_per_second",
    "best_return",
    "last_return",
    "seconds_to_stop_return",
)


def write_run(folder: RunFolder) -> Path:
    """Writes report.html and learning_curve.png into a run's folder, from what lies there."""
    config, summary, evaluation = (_read(folder, name) for name in ("config", "summary", "evaluation"))
    levels = levels_of(summary, evaluation)
    draw_curve(folder, levels)
    facts = " · ".join(filter(None, [config.get("env_id"), config.get("started", "").replace("T", " ")]))
    parts = [
        f"<h1>{escape(folder.path.name)}</h1>\n<p class=soft>{escape(facts)}</p>",
        f"<p>Learned: {escape(verdict(evaluation))}</p>" if evaluation else "",
        _figure({folder.path.name: folder}, levels),
        "<h2>How it went</h2>" + _table([[name.replace("_", " "), summary.get(name)] for name in RESULTS]),
        _evaluation(evaluation),
        _videos(folder),
        "<h2>Settings</h2>" + _settings(config),
        f"<h2>Do it again</h2><pre>{escape(config.get('command', ''))}</pre>",
    ]
    return _write(folder.path / "report.html", f"{folder.path.name} · {config.get('env_id')}", parts)


def write_comparison(path: Path, folders: Mapping[str, RunFolder], rows: Sequence[Sequence[str]]) -> Path:
    """Writes a page with the curves of runs over one another.

    Args:
        path: of the page.
        folders: by their names.
        rows: of the table, the names first.
    """
    head, *rest = rows
    title = f"{len(folders)} runs"
    parts = [f"<h1>{title}</h1>", _figure(folders, {}), "<h2>What differs</h2>" + _table(rest, head)]
    return _write(path, title, parts)


def levels_of(summary: Mapping[str, Any], evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Returns the returns that a curve is compared with, by their names."""
    levels = {"stop return": summary.get("stop_return"), "random": evaluation.get("random", {}).get("mean")}
    return {name: level for name, level in levels.items() if level is not None}


def verdict(evaluation: Mapping[str, Any]) -> str:
    """Says in a sentence what was learned: the return of the policy beside the random one's, with their intervals."""
    policy, chance = evaluation["policy"], evaluation["random"]
    better = chance["difference"]["interval"][0] > 0
    return (
        f"{'' if better else 'not better than random: '}mean return {_with_interval(policy)} over {evaluation['episodes']} "
        f"fresh episodes; a random policy gets {_with_interval(chance)}"
    )


def shown(value: Any) -> str:
    """Formats a number, a list or None for a table."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {shown(one)}" for key, one in value.items()) or "-"
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)


def _with_interval(measured: Mapping[str, Any]) -> str:
    low, high = measured["interval"]
    return f"{measured['mean']:.4g} ({low:.4g} to {high:.4g})"


def _read(folder: RunFolder, name: str) -> dict[str, Any]:
    path = folder.path / f"{name}.json"
    return read_json(path) if path.exists() else {}


def _write(path: Path, title: str, parts: Iterable[str]) -> Path:
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    write_text(path, template.substitute(title=escape(title), body="\n".join(filter(None, parts))))
    return path


def _figure(folders: Mapping[str, RunFolder], levels: Mapping[str, float]) -> str:
    pictures = panels(folders, levels)
    names = ", ".join(folders)
    images = (
        f'<img alt="{escape(f"{names}: {PANELS[axis]}")}" src="{_data(svg, "image/svg+xml")}">'
        for axis, svg in pictures.items()
    )
    return f"<figure>{''.join(images)}</figure>"


def _evaluation(evaluation: Mapping[str, Any]) -> str:
    if not evaluation:
        return ""
    rows = [
        [name, *(evaluation[name][key] for key in ("mean", "interval", "min", "max"))] for name in ("policy", "random")
    ]
    rows = [[name, mean, f"{low:.4g} to {high:.4g}", least, most] for name, mean, (low, high), least, most in rows]
    where = f"{evaluation['episodes']} episodes from seed {evaluation['seed']}, {evaluation['checkpoint']}"
    table = _table(rows, ["", "mean return", "95 % interval", "lowest", "highest"])
    return f"<h2>Evaluation</h2><p class=soft>{escape(where)}</p>{table}"


def _videos(folder: RunFolder) -> str:
    """Embeds the videos that are of the best policy as it is now."""
    best = folder.checkpoint(BEST)
    since = best.stat().st_mtime if best.exists() else 0.0
    files = [file for file in sorted(folder.path.glob("videos/*.mp4")) if file.stat().st_mtime >= since]
    found = []
    for file in files:
        if file.stat().st_size > MOST_VIDEO_BYTES:
            found.append(f"<p>{escape(str(file))} is too large to be put in here.</p>")
            continue
        source = _data(file.read_bytes(), "video/mp4")
        found.append(
            f"<p class=soft>{escape(file.stem)}</p><video controls muted loop playsinline src='{source}'></video>"
        )
    return "<h2>Video</h2>" + "".join(found) if found else ""


def _settings(config: Mapping[str, Any]) -> str:
    tables: dict[str, list[list[Any]]] = {}
    for key, value in settings_of(config).items():
        part, _, name = key.partition(".")
        tables.setdefault(part, []).append([name, value])
    return f"<div class=parts>{''.join(_table(rows, caption=part) for part, rows in tables.items())}</div>"


def _table(rows: Iterable[Sequence[Any]], head: Sequence[str] = (), caption: str = "") -> str:
    top = f"<caption>{escape(caption.replace('_', ' '))}</caption>" if caption else ""
    top += f"<tr>{''.join(f'<th scope=col>{escape(name)}</th>' for name in head)}</tr>" if head else ""
    lines = (
        f"<tr><th scope=row>{escape(str(name))}</th>{''.join(f'<td>{escape(shown(value))}</td>' for value in values)}</tr>"
        for name, *values in rows
    )
    return f"<div class=wide><table>{top}{''.join(lines)}</table></div>"


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
