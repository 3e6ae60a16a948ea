"""kit.commands.play: keys, mouse, hand-over, recordings and refusals; once with real keys, in a window under Xvfb."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import BakedProject, clean_environment
from gymnasium import spaces
from kit.commands import play
from kit.errors import RunError, UsageError
from kit.task import Task

pygame = pytest.importorskip("pygame")
window = pytest.importorskip("kit.playing.window")

LEFT, RIGHT, TAB, ESCAPE = pygame.K_LEFT, pygame.K_RIGHT, pygame.K_TAB, pygame.K_ESCAPE
MASKED = spaces.Dict({"action_mask": spaces.MultiBinary(3), "place": spaces.Box(0, 9, (2,), np.float32)})
XVFB = "needs a display of its own and keys: apt-get install xvfb xdotool"


class Yard(gym.Env[Any, Any]):
    """Remembers its actions, and ends after five; a red half and a blue half."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 500}
    observation_space: gym.Space[Any] = spaces.Box(0, 9, (1,), np.float32)
    action_space: gym.Space[Any] = spaces.Discrete(3)
    taken: list[Any] = []
    mask = (1, 1, 0)

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        if config and "size" in config:
            raise ValueError("unknown key 'size'")
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self.observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        Yard.taken.append(action)
        self.steps += 1
        return self.observation(), 0.5, self.steps == 5, False, {}

    def observation(self) -> Any:
        place = np.full(self.observation_space.shape or (2,), self.steps, np.float32)
        if isinstance(self.observation_space, spaces.Dict):
            return {"action_mask": np.array(self.mask, np.int8), "place": place}
        return place

    def render(self) -> Any:
        picture = np.full((20, 40, 3), (200, 0, 0), np.uint8)
        picture[:, 20:] = (0, 0, 200)
        return picture


TASK = Task("kit_tests/Yard-v0", Yard, None, None, "unused:unused")
TASK.register()


def key(code: int, is_down: bool = True) -> Any:
    return pygame.event.Event(pygame.KEYDOWN if is_down else pygame.KEYUP, key=code)


def tap(*codes: int) -> list[Any]:
    """Returns what a keyboard sends for keys pressed one after the other."""
    return [key(code, is_down) for code in codes for is_down in (True, False)]


class Screen:
    """What was shown, picture by picture."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.alerts: list[bool] = []
        self.surface: Any = None


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Screen]]:
    """Returns a function that plays: a list of events for each picture, then Escape."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(Yard, "taken", [])
    show = window.Window.show

    def run(*frames: list[Any], arguments: tuple[str, ...] = ()) -> Screen:
        screen, left = Screen(), [*frames, [key(ESCAPE)]]

        def shown(self: Any, picture: np.ndarray, text: str, alert: bool) -> None:
            show(self, picture, text, alert)
            screen.texts.append(text)
            screen.alerts.append(alert)
            screen.surface = pygame.display.get_surface().copy()
            for event in left.pop(0):
                pygame.event.post(event)

        monkeypatch.setattr(window.Window, "show", shown)
        assert play.main(TASK, ["--seed", "7", *arguments]) == 0
        return screen

    yield run
    pygame.quit()


def declare(monkeypatch: pytest.MonkeyPatch, **metadata: Any) -> None:
    monkeypatch.setattr(Yard, "metadata", Yard.metadata | metadata)


# Keys


@pytest.mark.parametrize(
    ("keys", "codes"),
    [
        ("a", {97}),
        ("wa", {97, 119}),
        (97, {97}),
        ((97, 119), {97, 119}),
        (("a", "left"), {97, LEFT}),
        ("left", {LEFT}),
        ("space", {32}),
        (" ", {32}),
        ((), set()),
        ("", set()),
    ],
)
def test_keys_are_named_as_in_gymnasium_or_in_pygame(keys: Any, codes: set[int]) -> None:
    pygame.display.init()
    assert window.codes(keys) == codes


def test_few_actions_get_keys_that_are_printed(session: Any, capsys: pytest.CaptureFixture[str]) -> None:
    screen = session(tap(pygame.K_2, pygame.K_9), tap(pygame.K_0))
    assert Yard.taken == [2, 0]
    assert "0: 0   1: 1   2: 2" in capsys.readouterr().out
    assert screen.texts[0].startswith("you   step 0   return 0 ")
    assert screen.texts[-1].startswith("you   step 2   return 1   reward 0.5 ")


def test_two_actions_are_left_and_right(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Yard, "action_space", spaces.Discrete(2, start=-1))
    session(tap(RIGHT, LEFT, RIGHT))
    assert Yard.taken == [0, -1, 0]


def test_metadata_goes_before_the_method_and_options_before_both(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Yard, "get_keys_to_action", lambda self: {("x",): 0}, raising=False)
    session(tap(pygame.K_x))
    declare(monkeypatch, keys_to_action={"x": 1})
    session(tap(pygame.K_x))
    session(tap(pygame.K_x), arguments=("--keys", '{"x": 2}'))
    assert Yard.taken == [0, 1, 2]


def test_world_goes_on_by_itself_where_no_key_has_an_action(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, keys_to_action={(): 0, "a": 1, "ad": 2})
    session([], [key(pygame.K_a)], [key(pygame.K_d)], [key(pygame.K_a, False), key(pygame.K_d, False)])
    assert Yard.taken == [0, 0, 1, 2, 0]


def test_last_key_counts_where_a_combination_has_no_action(session: Any) -> None:
    session([key(pygame.K_1), key(pygame.K_2)], [key(pygame.K_2, False)], tap(pygame.K_LSHIFT, pygame.K_0))
    assert Yard.taken == [1, 2, 0]


def test_keys_come_up_where_the_window_loses_the_keyboard(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, keys_to_action={"": 0, "a": 1})
    session([key(pygame.K_a)], [pygame.event.Event(pygame.WINDOWFOCUSLOST)], [])
    assert Yard.taken == [0, 1, 0, 0]


def test_actions_of_a_box_come_as_lists(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Yard, "action_space", spaces.Box(-1, 1, (2,), np.float32))
    session(tap(pygame.K_a), arguments=("--keys", '{"a": [0.7, -1]}'))
    np.testing.assert_array_equal(Yard.taken, np.array([[0.7, -1]], np.float32))
    assert Yard.taken[0].dtype == np.float32


def test_mouse_gives_the_place_in_the_picture(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Yard, "action_space", spaces.Box(0, 1, (2,), np.float32))
    monkeypatch.setattr(Yard, "mouse_action", lambda self, x, y: np.array([x, y], np.float32), raising=False)
    at = [(380, 240), (0, 0), (759, 479)]  # of a picture 960 wide, where the display has room for that
    clicks = [
        [pygame.event.Event(kind, pos=pos, button=1) for kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP)]
        for pos in at
    ]
    monkeypatch.setattr(window, "_LARGEST", (760, 480))
    session(*clicks, [pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(1, 1), button=3)])
    np.testing.assert_allclose(Yard.taken, [[0.5, 0.63], [0.0, 0.0], [1.0, 1.0]], atol=0.02)


# Episodes


def test_end_waits_for_r_which_starts_the_next_seed(session: Any, capsys: pytest.CaptureFixture[str]) -> None:
    screen = session(tap(*[pygame.K_1] * 9), tap(pygame.K_1), tap(pygame.K_r), tap(pygame.K_1))
    assert len(Yard.taken) == 6
    assert screen.texts[-3].startswith("terminated   step 5   return 2.5 ")
    assert screen.texts[-1].startswith("you   step 1   return 0.5 ")
    assert "terminated   step 5   return 2.5   seed 7\n" in capsys.readouterr().out


def test_r_of_the_environment_starts_again_only_at_the_end(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, keys_to_action={"r": 1})
    screen = session(*[tap(pygame.K_r)] * 6)
    assert Yard.taken == [1] * 5
    assert [text.split("   ")[1] for text in screen.texts] == [f"step {n}" for n in (0, 1, 2, 3, 4, 5, 0)]


def test_action_outside_the_mask_is_refused_with_a_note(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Yard, "observation_space", MASKED)
    monkeypatch.setattr(Yard, "action_space", spaces.Discrete(3, start=1))
    screen = session(tap(pygame.K_2), tap(pygame.K_1))
    assert Yard.taken == [2]
    assert screen.texts[1].endswith("2: the action mask forbids 3 now") and screen.alerts == [False, True, False]


@pytest.mark.parametrize(
    ("space", "action", "mask", "is_allowed"),
    [
        (spaces.MultiDiscrete([2, 3]), [1, 2], [0, 1, 0, 0, 1], True),
        (spaces.MultiDiscrete([2, 3]), [1, 1], [0, 1, 0, 0, 1], False),
        (spaces.MultiDiscrete([2, 3], start=[1, -1]), [2, 1], [0, 1, 0, 0, 1], True),
        (spaces.MultiBinary(2), [0, 1], [1, 0, 0, 1], True),
        (spaces.MultiBinary(2), [1, 1], [1, 0, 0, 1], False),
    ],
)
def test_mask_is_read_in_the_environments_own_actions(space: Any, action: Any, mask: Any, is_allowed: bool) -> None:
    game = pytest.importorskip("kit.playing.game")
    assert game.is_allowed(space, np.array(action), {"action_mask": np.array(mask)}) == is_allowed


def test_picture_is_enlarged_above_its_text(session: Any) -> None:
    surface = session([]).surface
    width, height = surface.get_size()
    colors = [
        surface.get_at(place)[:3] for place in ((width // 2 - 9, 9), (width // 2 + 9, 9), (width // 2, height - 1))
    ]
    assert colors[:2] == [(200, 0, 0), (0, 0, 200)]
    assert width >= 720 and colors[2] not in colors[:2]


# The policy


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A policy for Yard, saved as the run "first"."""
    torch, folder = pytest.importorskip("torch"), pytest.importorskip("kit.policy.folder")
    from kit.policy.actor import Actor
    from kit.spaces import adapters_for, limits_of

    monkeypatch.chdir(tmp_path)
    env = Yard()
    adapters = adapters_for(env.observation_space, env.action_space, limits_of(env))
    torch.manual_seed(0)
    actor = Actor(adapters.seen, adapters.chosen, {"hidden_units": [8], "image_features": 8})
    where = tmp_path / "runs/first/checkpoints/best/policy"
    where.parent.mkdir(parents=True)
    (tmp_path / "runs/first/config.json").write_text("{}")
    facts = {"env_id": TASK.env_id, "spaces": folder.spaces_of(env), "env_config": {}, "versions": {}}
    folder.save_policy(where, actor, facts)
    return folder.load_folder(where)


def test_tab_hands_over_to_the_policy_and_back(session: Any, run: Any) -> None:
    screen = session(tap(pygame.K_1), tap(TAB), [], tap(TAB, pygame.K_0), arguments=("first",))
    chosen = [int(run(np.array([step], np.float32))) for step in (1, 2)]
    assert [int(action) for action in Yard.taken] == [1, *chosen, 0]
    assert [text.split()[0] for text in screen.texts] == ["you", "you", "policy", "policy", "you"]


def test_without_a_policy_tab_says_how_to_name_one(session: Any) -> None:
    assert session(tap(TAB)).texts[-1].endswith("there is no policy: `play RUN` names one")


def test_misspelt_run_is_refused(session: Any, run: Any) -> None:
    with pytest.raises(UsageError, match="did you mean 'first'"):
        session(arguments=("frist",))


# Recordings


def test_recorded_episodes_play_again(session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Yard, "observation_space", MASKED)
    file = tmp_path / "played.npz"
    session(tap(*[pygame.K_1] * 5), tap(pygame.K_r, pygame.K_r), tap(pygame.K_0), arguments=("--record", str(file)))
    with np.load(file, allow_pickle=False) as saved:
        parts = (
            "actions",
            "observations/action_mask",
            "observations/place",
            "rewards",
            "seed",
            "terminations",
            "truncations",
        )
        assert sorted(saved) == [f"episode_{number}/{part}" for number in (0, 1) for part in parts]
        assert saved["episode_0/actions"].tolist() == [1] * 5 and saved["episode_1/actions"].tolist() == [0]
        assert saved["episode_0/observations/place"].tolist() == [[step, step] for step in range(6)]
        assert saved["episode_0/observations/action_mask"].dtype == np.int8
        assert saved["episode_0/rewards"].tolist() == [0.5] * 5
        assert (saved["episode_0/seed"], saved["episode_1/seed"]) == (7, 9)  # nothing was played from 8
        assert saved["episode_0/terminations"].tolist() == [False] * 4 + [True]
        assert not saved["episode_0/truncations"].any() and saved["episode_1/truncations"].tolist() == [True]


def test_what_was_played_is_saved_where_the_environment_fails(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(self: Yard, action: Any) -> Any:
        return original(self, action) if self.steps < 2 else self.nothing  # type: ignore[attr-defined]

    original = Yard.step
    monkeypatch.setattr(Yard, "step", step)
    with pytest.raises(RunError, match=r"test_play.py:\d+: AttributeError: .*has no attribute 'nothing'") as caught:
        session(tap(*[pygame.K_1] * 3), arguments=("--record", str(tmp_path / "played.npz")))
    assert "\n" not in str(caught.value)
    assert np.load(tmp_path / "played.npz")["episode_0/actions"].tolist() == [1, 1]


# Refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--keys", "{a: 0}"), r"--keys \{a: 0\} can't be read as JSON"),
        (("--keys", "[0]"), "--keys has to say what keys do, such as"),
        (("--keys", '{"a": 3}'), "--keys: 'a' is 3, outside the range 0..2"),
        (("--keys", '{"a": 0.5}'), "--keys: 'a': expected an int"),
        (("--fps", "0"), "argument --fps: expected a whole number of at least 1"),
        (("--record", "played.txt"), "--record played.txt: name a file that isn't there yet"),
        (("--record", "nowhere/played.npz"), "in a folder that is"),
    ],
)
def test_wrong_use_is_refused(session: Any, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        session(arguments=arguments)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"action_space": spaces.Box(-1, 1, (2,), np.float32)}, UsageError, "--keys, or metadata.* such as .* of Box"),
        ({"action_space": spaces.Discrete(11)}, UsageError, "--keys, or metadata.*Discrete"),
        ({"metadata": {"keys_to_action": {"a": 5}}}, RunError, "'a' is 5, outside the range"),
        (
            {"metadata": {"render_modes": []}, "render": lambda self: None},
            RunError,
            'play needs "rgb_array" in .* None',
        ),
        ({"render": lambda self: np.zeros((4, 4))}, RunError, r"array of shape \(4, 4\) and dtype float64"),
        ({"mouse_action": lambda self, x, y: 3}, RunError, r"mouse_action\(x, y\) is 3, outside the range 0..2"),
        ({"reset": lambda self, **_: 1 / 0}, RunError, r"test_play.py:\d+: ZeroDivisionError"),
    ],
)
def test_what_can_not_be_played_is_refused(
    session: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    for name, value in changes.items():
        monkeypatch.setattr(Yard, name, value, raising=False)
    click = pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(9, 9), button=1)
    with pytest.raises(error, match=message) as caught:
        session([click])
    assert "\n" not in str(caught.value)


def test_recording_of_what_is_no_array_is_refused_before_anything_is_played(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Yard, "observation_space", spaces.Dict({"words": spaces.Sequence(spaces.Discrete(3))}))
    with pytest.raises(UsageError, match=r"--record can't save observations\['words'\] of Sequence"):
        session(arguments=("--record", str(tmp_path / "played.npz")))


def test_recording_is_not_written_over(session: Any, tmp_path: Path) -> None:
    (tmp_path / "played.npz").write_bytes(b"")
    with pytest.raises(UsageError, match="isn't there yet"):
        session(arguments=("--record", str(tmp_path / "played.npz")))


def test_config_that_the_environment_refuses_is_one_line(session: Any) -> None:
    with pytest.raises(RunError, match="unknown key 'size'"):
        session(arguments=("--config", '{"size": 3}'))


def test_missing_pygame_is_refused_with_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kit.playing.game", "kit.playing.window"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(UsageError, match=r'play needs pygame: pip install -e ".\[play\]"'):
        play.main(TASK, [])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_headless_is_one_line(corridor: BakedProject) -> None:
    done = corridor.command("play", DISPLAY="", WAYLAND_DISPLAY="", SDL_VIDEODRIVER="")
    assert done.returncode == 2
    assert "ERROR: play needs a screen" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


# Real keys


@pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason=XVFB)
def test_real_keys_reach_the_goal(corridor: BakedProject, tmp_path: Path) -> None:
    xvfb = ["Xvfb", "-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp"]
    with subprocess.Popen(xvfb, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as display:
        assert display.stdout
        environment = {**clean_environment(), "DISPLAY": f":{display.stdout.readline().strip()}"}
        try:
            played = play_with_xdotool(corridor, tmp_path / "played.npz", environment)
        finally:
            display.terminate()
    assert "left: 0   right: 1" in played and "terminated   step 5 " in played
    with np.load(tmp_path / "played.npz") as saved:
        assert saved["episode_0/actions"].tolist() == [0, 1, 1, 1, 1]
        assert saved["episode_1/actions"].tolist() == [0]


def play_with_xdotool(project: BakedProject, file: Path, environment: dict[str, str]) -> str:
    """Plays a corridor of 4 cells to its goal, starts again, goes left and ends; returns what was printed."""
    command = ["-m", project.package, "play", "--record", str(file), "--config", '{"length": 4}']
    with subprocess.Popen(
        [str(project.python), *command, "--fps", "60", "--seed", "3"],
        cwd=project.path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as game:
        try:
            for step in (
                ["search", "--sync", "--onlyvisible", "--class", "."],
                ["key", "--delay", "100", "Left", *["Right"] * 5, "r", "Left", "Escape"],
            ):
                subprocess.run(["xdotool", *step], env=environment, timeout=60, check=True, capture_output=True)
            return game.communicate(timeout=60)[0]
        finally:
            game.kill()
