"""The starter `intercept`: from state and from pixels, by PPO and by hand; it needs no screen but to be played."""

import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import tomlkit
from conftest import BakedProject

CONFIGS = ["{}", '{"pixels": true}']


@pytest.mark.parametrize("config", CONFIGS)
def test_contract_holds_without_a_warning(intercept: BakedProject, config: str) -> None:
    report = json.loads(intercept.command("check", "--config", config, "--json", check=True).stdout)
    assert report["ok"] and report["checks_run"] > 80 and report["failures"] == []


def test_pygame_waits_until_something_is_drawn(intercept: BakedProject) -> None:
    """And what training from pixels draws needs no screen."""
    code = """
import sys
from intercept_demo import TASK
env, seeing = TASK.make(), TASK.make({"pixels": True})
env.reset(seed=0)
env.step(env.action_space.sample())
assert "pygame" not in sys.modules
observation, _ = seeing.reset(seed=0)
assert observation in seeing.observation_space and observation.any()
assert not sys.modules["pygame"].display.get_init()
"""
    intercept.run("-c", code, check=True, DISPLAY="", WAYLAND_DISPLAY="", SDL_VIDEODRIVER="")


def test_pygame_is_a_dependency_of_this_starter_only(
    bake: Callable[..., BakedProject], intercept: BakedProject
) -> None:
    for project, extra in ((intercept, "[classic-control]"), (bake(), "")):
        needed = tomlkit.parse(project.read("pyproject.toml")).unwrap()["project"]["dependencies"]
        assert f"gymnasium{extra}==1.2.2" in needed
    brought = [line for line in metadata.requires("gymnasium") or () if line.startswith("pygame")]
    assert any("classic-control" in line for line in brought)


MUTANTS = [
    ("self._worker + WORKER_SPEED * action", "self._worker + WORKER_SPEED * action[::-1]", "step_moves_the_worker"),
    ("(self._target - self._worker) / self._dis", "(self._worker - self._target) / self._dis", "target_flees"),
    ("(1 - INERTIA) * wanted", "wanted", "target_keeps_four_fifths_of_its_velocity"),
    ("- 0.005 + terminated", "+ terminated", "coming_nearer_pays_and_the_step_costs"),
    ("<= 2 * RADIUS", "<= RADIUS", "touching_pays_and_terminates"),
    ("< START_DISTANCE", "< 2 * RADIUS", "reset_puts_them_far_apart_and_the_target_stands"),
    ("before, self._picture = self._picture,", "before = self._picture =", "pixels_show_the_picture_before_and_after"),
    (".swapaxes(0, 1)\n", "\n", "pixels_show_a_red_target_and_a_blue_worker"),
    ("(np.array([x, y]) - self", "(np.array([y, x]) - self", "mouse_leads_to_the_pointer_and_no_further"),
    ("self._window: Any = None", "self._window: Any = self.render()", "window_opens_with_the_first_episode"),
]


@pytest.fixture(scope="module")
def mutant(bake: Callable[..., BakedProject]) -> BakedProject:
    """A project to be broken on purpose."""
    return bake(project_name="Intercept Demo", starter="intercept").install()


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "test"), MUTANTS, ids=[test for *_, test in MUTANTS])
def test_mistake_in_the_rules_is_found_by_the_example_of_the_rule(
    intercept: BakedProject, mutant: BakedProject, old: str, new: str, test: str
) -> None:
    file, text = mutant.source / "env.py", intercept.read("src/intercept_demo/env.py")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    done = mutant.run("-m", "pytest", "-q", "tests/test_env.py", "-k", test)
    assert done.returncode == 1 and "1 failed" in done.stdout, done.stdout


# Events after each picture that `play` shows; the mouse goes to the lower left corner.
PLAY = """
import sys
import pygame
from intercept_demo import TASK
from intercept_demo.kit.commands import play
from intercept_demo.kit.playing import window

def key(code, is_down=True):
    return pygame.event.Event(pygame.KEYDOWN if is_down else pygame.KEYUP, key=code)

def mouse():
    return pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(0, pygame.display.get_surface().get_height()), button=1)

def shown(self, *arguments):
    show(self, *arguments)
    for event in next(pictures)():
        pygame.event.post(event)

show = window.Window.show
pictures = iter([
    lambda: [key(pygame.K_RIGHT)],
    lambda: [key(pygame.K_UP)],
    lambda: [key(pygame.K_RIGHT, False), key(pygame.K_UP, False)],
    lambda: [mouse()],
    lambda: [key(pygame.K_ESCAPE)],
])
window.Window.show = shown
sys.exit(play.main(TASK, ["--seed", "3", "--record", sys.argv[1]]))
"""


def test_keys_and_mouse_move_the_worker_and_the_world_goes_on_by_itself(
    intercept: BakedProject, tmp_path: Path
) -> None:
    file = tmp_path / "played.npz"
    intercept.run("-c", PLAY, str(file), check=True, SDL_VIDEODRIVER="dummy")
    with np.load(file) as saved:
        assert saved["episode_0/actions"].tolist() == [[0, 0], [1, 0], [1, -1], [0, 0], [-1, 1]]
        places = saved["episode_0/observations"][:, :2]
    moved = np.diff(places, axis=0) / 0.03
    np.testing.assert_allclose(moved, [[0, 0], [1, 0], [1, -1], [0, 0], [-1, 1]], atol=1e-3)
