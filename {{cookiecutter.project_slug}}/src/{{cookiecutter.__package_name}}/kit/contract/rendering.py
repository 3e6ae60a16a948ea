"""Episodes that are rendered, for the checks in `render` to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .building import Built
from .locations import described, raised, unwrapped
from .policies import RANDOM
from .recording import Episode, Trouble, moves
from .registry import NotJudged
from .study import Study
from .surroundings import seed_global
from .targets import accepts

FRAMES = 4


@dataclass
class Rendered:
    """One episode that was rendered in one mode."""

    mode: str
    built: Built
    episode: Episode
    frames: list[Any] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)
    trouble: Trouble | None = None


def rendered_episodes(study: Study) -> list[Rendered]:
    """Renders an episode with seed 0 in each declared mode that needs no screen; the first two only, if slow."""
    if "rendered" not in study.cache:
        _ = study.episodes
        if study.only_one:
            raise NotJudged("no second copy can be made")
        modes = [mode for mode in declared_modes(study) if mode != "human"]
        if (
            not accepts(study.maker, "render_mode")
            and getattr(study.env, "spec", None) is None
            and not isinstance(study.maker, type)
        ):
            plain = type(unwrapped(study.env))
            if not accepts(plain, "render_mode"):
                raise NotJudged("the creator takes no render_mode")
        study.cache["rendered"] = [_render_episode(study, mode) for mode in modes[: 1 if study.slow_to_build else 4]]
    return study.cache["rendered"]


def _render_episode(study: Study, mode: str) -> Rendered:
    built = study.build(study.built.config, mode)
    episode = Episode(1, RANDOM, 0, fresh=True)
    rendered = Rendered(mode, built, episode, trouble=built.trouble)
    if built.env is None:
        return rendered
    seed_global(22)
    chooser = RANDOM.chooser(study.space("action_space"), 0)
    for _ in moves(built.env, episode, chooser, min(study.plan.small, 40), study.pulse):
        if len(rendered.frames) >= FRAMES and len(episode.steps) % 4:
            continue
        study.pulse.call("render")
        try:
            frame = built.env.render()
        except BaseException as problem:
            rendered.trouble = Trouble("render", len(episode.steps), described(problem), raised(problem), problem)
            break
        rendered.frames.append(frame)
        rendered.kept.append(frame.copy() if isinstance(frame, np.ndarray) else frame)
    study.release(built.env)
    return rendered


def declared_modes(study: Study) -> list[str]:
    """The render modes in the environment's metadata."""
    modes = (getattr(study.env, "metadata", None) or {}).get("render_modes") or []
    return [mode for mode in modes if isinstance(mode, str)] if isinstance(modes, list | tuple) else []
