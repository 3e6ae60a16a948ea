"""The probe of `render`, in a process of its own."""

from typing import Any

import numpy as np

from .locations import unwrapped
from .model import CallError, NotJudged
from .recorder import Recorder
from .sections import Rendered
from .surroundings import seed_global
from .targets import accepts
from .values import attribute

FRAMES = 4


def record_rendered(recorder: Recorder) -> list[Rendered]:
    """Renders an episode with seed 0 in each declared mode that needs no screen."""
    recorder.action_space()
    modes = [mode for mode in declared_modes(recorder.env) if mode != "human"]
    creator_hides_it = not isinstance(recorder.maker, type) and getattr(recorder.env, "spec", None) is None
    if creator_hides_it and not accepts(recorder.maker, "render_mode"):
        if not accepts(type(unwrapped(recorder.env)), "render_mode"):
            raise NotJudged("the creator takes no render_mode")
    return [_render(recorder, mode) for mode in modes[: 1 if recorder.slow_to_build else 4]]


def _render(recorder: Recorder, mode: str) -> Rendered:
    recorder.heartbeat.context(f"an episode rendered in mode {mode!r}")
    env = recorder.build("rendered", recorder.main_config, mode)
    seed_global(22)
    play = recorder.start(env, 0)
    rendered = Rendered(mode, play.episode, attribute(env, "render_mode"), error=recorder.builds["rendered"].error)
    if env is None:
        return rendered
    returned = []
    for _ in play.moves(min(recorder.plan.small, 40)):
        if len(returned) >= FRAMES and len(play.episode.steps) % 4:
            continue
        recorder.heartbeat.call("render", len(play.episode.steps))
        try:
            frame = env.render()
        except BaseException as error:
            rendered.error = CallError.of("render", error, len(play.episode.steps))
            break
        returned.append(frame)
        rendered.frames.append(frame.copy() if isinstance(frame, np.ndarray) else frame)
    play.close()
    recorder.release(env)
    return rendered


def declared_modes(env: Any) -> list[str]:
    """Returns the render modes in the environment's metadata."""
    metadata = attribute(env, "metadata")
    modes = metadata.get("render_modes") if isinstance(metadata, dict) else None
    return [mode for mode in modes if isinstance(mode, str)] if isinstance(modes, list | tuple) else []


def record_draws(recorder: Recorder) -> bool:
    """Tells whether `render` returns something although no mode is declared."""
    if declared_modes(recorder.env):
        return False
    envs = [recorder.env]
    if accepts(recorder.maker, "render_mode"):
        envs.append(recorder.build("drawn", recorder.main_config, "rgb_array"))
    for env in envs:
        recorder.heartbeat.call("render")
        try:
            env.reset(seed=0)
            if env.render() is not None:
                return True
        except BaseException:
            continue
    return False
