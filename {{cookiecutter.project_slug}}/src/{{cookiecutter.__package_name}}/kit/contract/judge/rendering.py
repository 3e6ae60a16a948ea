"""Rendering: what is declared works where the machine can draw, and looking changes nothing."""

import re
from typing import Any

import numpy as np

from ...spaces.membership import kind, short
from ..record.compare import difference
from ..record.env_record import EnvRecord
from ..record.model import CallError, NotJudged
from ..record.values import same
from .registry import Finding, Findings, check

# What libraries say on a machine without a display or OpenGL.
NO_SCREEN = r"opengl|gl(context|load|x|fw)|gladload|\begl|lib(e?)gl|osmesa|video device|video system|display"


def lacks_screen(error: CallError) -> bool:
    """Tells whether an exception is the machine's lack of a display or OpenGL."""
    return re.search(NO_SCREEN, error.text, re.IGNORECASE) is not None


@check(fix='write metadata = {"render_modes": ["rgb_array"], "render_fps": 30} in the class', at="render")
def render_modes_declared(record: EnvRecord) -> Findings:
    """`metadata["render_modes"]` names the modes that `render` knows; where there are pictures, with a frame rate."""
    metadata, at = record.about.metadata, "render" if record.about.has_render else "__init__"
    if not isinstance(metadata, dict):
        yield Finding(f"metadata must be a dict with render_modes, got {kind(metadata)}", at=at)
        return
    modes, fps = metadata.get("render_modes") or [], metadata.get("render_fps")
    if not isinstance(modes, list | tuple) or not all(isinstance(mode, str) for mode in modes):
        yield Finding(f"metadata['render_modes'] must be a list of str, got {short(modes)}", at=at)
    pictures = [mode for mode in modes if str(mode).startswith(("rgb", "depth"))]  # videos are made of these only
    if pictures and (not isinstance(fps, int | float | np.number) or fps <= 0):
        text = f"metadata['render_fps'] is {fps!r}; expected the frame rate of {pictures[0]!r}, a number above 0"
        yield Finding(text, 'add "render_fps": 30 to the metadata, beside its modes', at=at, severity="warning")
    if not modes and record.about.has_render and record.draws:
        text = "render() is written, but metadata declares no render_modes: nobody can ask for a render mode"
        yield Finding(text, severity="warning")


@check(fix="make videos where there is a display, or off-screen (MUJOCO_GL=egl)", at="render", mild=True)
def render_possible_here(record: EnvRecord) -> Findings:
    """This machine can draw what `render` draws; training does without, videos don't."""
    stop = record.render_stop
    if stop is not None:
        hangs = stop.why == "hang"
        what = f"gave no answer within {stop.seconds:.0f} s" if hangs else f"ended its process ({stop.code})"
        yield f"render() {what}, in {stop.context}: this machine lacks a display or OpenGL?"
        return
    errors = [rendered.error for rendered in record.rendered if rendered.error and lacks_screen(rendered.error)]
    yield from (f"this machine lacks a display or OpenGL: {error.text}" for error in errors[:1])


@check(fix="write self.render_mode = render_mode in __init__", at="__init__", after="copies_can_be_made")
def render_mode_kept(record: EnvRecord) -> Findings:
    """The constructor takes `render_mode` and stores it as `self.render_mode`, where wrappers look."""
    for rendered in record.rendered:
        error = rendered.error
        if error is not None and error.call == "__init__":
            if "ImportError" in error.kinds or lacks_screen(error):
                raise NotJudged(error.text)
            text = f"render_mode={rendered.mode!r} is declared, but the constructor fails with it: {error.text}"
            yield Finding(text, "write def __init__(self, config=None, render_mode=None)", error.where)
        elif rendered.mode_kept != rendered.mode:
            yield f"render_mode={rendered.mode!r} is not stored: env.render_mode is {rendered.mode_kept!r}"
            return


@check(fix="return the picture as np.uint8 array of shape (height, width, 3)", at="render")
def render_returns(record: EnvRecord) -> Findings:
    """`render` returns what its mode promises; else video recording fails at the first evaluation."""
    for rendered in record.rendered:
        error = rendered.error
        if error is not None and error.call == "render":
            if "ImportError" in error.kinds or lacks_screen(error):
                raise NotJudged(error.text)
            text = f"render() raises {error.text} in mode {rendered.mode!r}, which metadata declares"
            own = error.where if error.where and "gymnasium" not in error.where else None
            yield Finding(text, "write render(), or take the mode out of metadata['render_modes']", own)
            continue
        for frame in rendered.frames[:2]:
            promised = _promised(rendered.mode, frame)
            if promised and rendered.mode_kept == rendered.mode:
                yield f"render() in mode {rendered.mode!r} must return {promised}, got {kind(frame)}"
                break


def _promised(mode: str, frame: Any) -> str | None:
    """Returns what a mode promises, if the frame is something else."""
    if mode.endswith("_list"):
        return None if isinstance(frame, list) else "a list of frames"
    if mode == "ansi":
        return None if isinstance(frame, str) or type(frame).__name__ == "StringIO" else "a str"
    if mode == "rgb_array":
        image = isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.ndim == 3
        return None if image and frame.shape[2] in (3, 4) else "an array of shape (height, width, 3) and dtype uint8"
    return None


@check(fix="let render() only read the state, and draw no random numbers there", at="render",
       after="same_seed_same_episode", once=True)  # fmt: skip
def render_changes_nothing(record: EnvRecord) -> Findings:
    """Rendering does not change the episode: it neither moves nor draws random numbers."""
    plain = record.replicas[0].replica  # of the process that renders
    for rendered in record.rendered:
        found = None if rendered.error is not None else difference(plain, rendered.episode)
        if found is not None and found.rounding is None and difference(plain, record.resets[0]) is None:
            shown = found.shown("without rendering", "with it")
            yield f"render() changes the state of the environment: in mode {rendered.mode!r}, {shown}"


@check(fix="draw the current state into a new frame each time", at="render", mild=True, after="render_changes_nothing")
def render_shows_state(record: EnvRecord) -> Findings:
    """Frames differ when the state does, and a returned frame stays as it is: a video keeps them to the end."""
    for rendered in record.rendered:
        frames, steps = [frame for frame in rendered.frames if isinstance(frame, np.ndarray)], rendered.episode.steps
        if rendered.overwritten:
            yield f"a frame of render() in mode {rendered.mode!r} was overwritten in place afterwards"
        elif len(frames) > 3 and len(steps) > 3 and all(same(frames[0], frame) for frame in frames[1:]):
            if not same(rendered.episode.obs, steps[-1].obs):
                yield f"render() in mode {rendered.mode!r} shows the same picture although the observation changes"
