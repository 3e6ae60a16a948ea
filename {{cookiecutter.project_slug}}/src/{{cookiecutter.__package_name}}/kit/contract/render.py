"""Rendering and closing: what is declared works, and looking changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from ..spaces.membership import kind, short
from .locations import unwrapped
from .registry import Finding, NotJudged, check, error, warning
from .rendering import FRAMES, rendered_episodes
from .sessions import difference
from .study import Study
from .targets import accepts
from .values import same


def _has_render(study: Study) -> bool:
    own = getattr(type(unwrapped(study.env)), "render", None)
    return own is not None and own is not gymnasium.Env.render


@check()
def render_modes_declared(study: Study) -> Iterator[Finding]:
    """`metadata["render_modes"]` names the modes that `render` knows, and a frame rate.

    `gymnasium.make`, video recording and `play` look there before they ask for a mode.
    """
    env = study.env
    metadata = getattr(env, "metadata", None)
    where = study.where("render") if _has_render(study) else study.where("__init__")
    fix = 'write metadata = {"render_modes": ["rgb_array"], "render_fps": 30} in the class'
    if not isinstance(metadata, dict):
        yield error(f"metadata must be a dict with render_modes, got {kind(metadata)}", fix, where)
        return
    modes = metadata.get("render_modes")
    if not modes and _has_render(study) and _draws(study):
        text = "render() is written, but metadata declares no render_modes: nobody can ask for a render mode"
        yield warning(text, fix, where)
    elif modes is not None and (
        not isinstance(modes, list | tuple) or not all(isinstance(mode, str) for mode in modes)
    ):
        yield error(
            f"metadata['render_modes'] must be a list of str, got {short(modes)}: no valid render mode", fix, where
        )
    fps = metadata.get("render_fps")
    if modes and (fps is None or not isinstance(fps, int | float | np.number) or fps <= 0):
        text = (
            f"metadata['render_fps'] is {fps!r}; expected the frame rate of the declared render modes, a number above 0"
        )
        yield warning(text, fix, where)


def _draws(study: Study) -> bool:
    """Whether `render` returns something, with no mode or with the most common one."""
    built = [study.built]
    if accepts(study.maker, "render_mode"):
        built.append(study.build(study.built.config, "rgb_array"))
    for one in built:
        study.pulse.call("render")
        try:
            one.env.reset(seed=0)
            if one.env.render() is not None:
                return True
        except BaseException:
            continue
    return False


@check()
def render_mode_kept(study: Study) -> Iterator[Finding]:
    """The constructor takes `render_mode` and stores it as `self.render_mode`.

    Wrappers ask the environment for its mode: without it no video is recorded and no frame drawn.
    """
    for rendered in rendered_episodes(study):
        where = study.where("__init__")
        if rendered.built.trouble is not None:
            if isinstance(rendered.built.trouble.problem, ImportError):
                raise NotJudged(rendered.built.trouble.text)
            text = (
                f"render_mode={rendered.mode!r} is declared, but the constructor fails with it: "
                f"{rendered.built.trouble.text}"
            )
            yield error(
                text, "write def __init__(self, config=None, render_mode=None)", rendered.built.trouble.where or where
            )
        elif getattr(rendered.built.env, "render_mode", None) != rendered.mode:
            got = getattr(rendered.built.env, "render_mode", None)
            text = (
                f"the constructor was given render_mode={rendered.mode!r}, but env.render_mode is {got!r}: it is "
                "not "
                "stored"
            )
            yield error(text, "write self.render_mode = render_mode in __init__", where)
            return


@check()
def render_returns(study: Study) -> Iterator[Finding]:
    """`render` returns what its mode promises: a uint8 image, a text, a list of them.

    Video recording fails at the first evaluation, hours after the start of the training.
    """
    for rendered in rendered_episodes(study):
        trouble, where = rendered.trouble, study.where("render")
        if trouble is not None and trouble.call == "render":
            if isinstance(trouble.problem, ImportError):
                raise NotJudged(trouble.text)
            text = f"render() raises {trouble.text} in mode {rendered.mode!r}, which metadata declares"
            fix = "write render(), or take the mode out of metadata['render_modes']"
            own = trouble.where if trouble.where and "gymnasium" not in trouble.where else None
            yield error(text, fix, own or where)
            continue
        for frame in rendered.frames[:2]:
            problem = _wrong_frame(rendered.mode, frame)
            if problem and getattr(rendered.built.env, "render_mode", None) == rendered.mode:
                text = f"render() in mode {rendered.mode!r} must return {problem}, got {kind(frame)}"
                yield error(text, "return the picture as np.uint8 array of shape (height, width, 3)", where)
                break


def _wrong_frame(mode: str, frame: Any) -> str | None:
    """What a mode promises, if the frame is something else."""
    if mode.endswith("_list"):
        return None if isinstance(frame, list) else "a list of frames"
    if mode == "ansi":
        return None if isinstance(frame, str) or hasattr(frame, "getvalue") else "a str"
    if mode == "rgb_array":
        good = (
            isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] in (3, 4)
        )
        return None if good else "an array of shape (height, width, 3) and dtype uint8 (render shape and dtype)"
    return None


@check()
def render_changes_nothing(study: Study) -> Iterator[Finding]:
    """Rendering does not change the episode.

    An environment that moves, draws random numbers or resets when it is looked at plays another episode in every video.
    """
    for rendered in rendered_episodes(study):
        if rendered.trouble is not None or difference(study.episodes[0], study.replays.alone) is not None:
            continue
        found = difference(study.replays.alone, rendered.episode)
        if found is not None:
            number, what, left, right = found
            text = (
                f"render() changes the state of the environment: rendered in mode {rendered.mode!r}, {what} "
                f"{rendered.episode.at(number)} is {short(right, 50)}, and {short(left, 50)} without rendering"
            )
            yield error(
                text, "let render() only read the state, and draw no random numbers there", study.where("render")
            )
            return


@check(quick=False)
def render_shows_state(study: Study) -> Iterator[Finding]:
    """Frames differ when the state does, and a returned frame stays as it is.

    A video keeps the frames until the end of the episode: one array that is drawn into again shows the end only.
    """
    if "render_changes_nothing" in study.failed:
        raise NotJudged("see render_changes_nothing")
    for rendered in rendered_episodes(study):
        frames = [frame for frame in rendered.frames if isinstance(frame, np.ndarray)]
        kept = [frame for frame in rendered.kept if isinstance(frame, np.ndarray)]
        if not all(map(same, frames, kept)):
            text = (
                f"a frame of render() in mode {rendered.mode!r} changed afterwards: the same array is overwritten "
                "(aliased)"
            )
            yield warning(text, "return a copy of the frame", study.where("render"))
        elif len(kept) >= FRAMES and all(same(kept[0], frame) for frame in kept[1:]):
            moving = len(rendered.episode.steps) > 3 and not same(rendered.episode.obs, rendered.episode.steps[-1].obs)
            if moving:
                text = (
                    f"render() in mode {rendered.mode!r} always shows the same picture although the observation changes"
                )
                yield warning(text, "draw the current state", study.where("render"))
