"""The probe of `render`, in a process of its own."""

from typing import Any

from .locations import unwrapped
from .model import NotJudged, Rendered
from .recorder import Recorder
from .surroundings import seed_global
from .targets import accepts
from .values import attribute, copy_value, same

FRAMES = 4


def record_rendered(recorder: Recorder) -> list[Rendered]:
    """Renders an episode with seed 0 in each declared mode that needs no screen."""
    modes = [mode for mode in declared_modes(recorder.env) if mode != "human"]
    takers = (recorder.maker, type(unwrapped(recorder.env)))
    if getattr(recorder.env, "spec", None) is None and not any(accepts(taker, "render_mode") for taker in takers):
        raise NotJudged("the constructor takes no render_mode")
    return [_render(recorder, mode) for mode in modes[: 1 if recorder.slow_to_build else 4]]


def record_draws(recorder: Recorder) -> bool:
    """Tells whether `render` returns something although no mode is declared."""
    modes = () if declared_modes(recorder.env) else (None, "rgb_array")
    return any(frame is not None for mode in modes for frame in _render(recorder, mode).frames)


def _render(recorder: Recorder, mode: str | None) -> Rendered:
    recorder.heartbeat.context(f"an episode rendered in mode {mode!r}")
    recorder.action_space()
    if recorder.only_one:
        recorder.release(recorder.env)
    env = recorder.build("rendered", recorder.main_config, mode)
    seed_global(22)
    play = recorder.start(env, 0)
    rendered = Rendered(mode, play.episode, attribute(env, "render_mode"), error=recorder.builds["rendered"].error)
    frames: list[Any] = []
    if env is None:
        return rendered
    for _ in play.moves(min(recorder.plan.small, 40)):
        if len(rendered.frames) < FRAMES or len(play.episode.steps) % 4 == 0:
            with recorder.heartbeat.calling("render", len(play.episode.steps)) as call:
                frames.append(env.render())
                rendered.frames.append(copy_value(frames[-1]))
            if call.error is not None:
                rendered.error = call.error
                break
    rendered.overwritten = not all(map(same, frames, rendered.frames))
    play.close()
    recorder.release(env)
    return rendered


def declared_modes(env: Any) -> list[str]:
    """Returns the render modes in the environment's metadata."""
    metadata = attribute(env, "metadata")
    modes = metadata.get("render_modes") if isinstance(metadata, dict) else None
    return [mode for mode in modes if isinstance(mode, str)] if isinstance(modes, list | tuple) else []
