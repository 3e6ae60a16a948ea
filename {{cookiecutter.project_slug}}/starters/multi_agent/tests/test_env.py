"""Yours: episodes that you worked out by hand, so that the rules are what you meant."""

from typing import Any

import numpy as np
import pytest

from {{cookiecutter.__package_name}} import {{cookiecutter.__class_name}}
from {{cookiecutter.__package_name}}.env import EnvConfig

LEFT, RIGHT = 0, 1  # of a carrier
SHOW_LEFT, SHOW_NOTHING, SHOW_RIGHT = 0, 1, 2  # of the scout
AGAINST = {"carrier_0": LEFT, "carrier_1": RIGHT}  # carriers that don't agree


def started(carriers: tuple[int, int], load: int, open_dock: int = 1) -> {{cookiecutter.__class_name}}:
    """Returns an environment of 9 cells, with carriers and load in the given ones; dock 1 is the right, -1 the left."""
    env = {{cookiecutter.__class_name}}(render_mode="rgb_array")
    env.reset(seed=0)
    env._positions, env._load, env._open = list(carriers), load, open_dock
    return env


def both(move: int, **scout: int) -> dict[str, Any]:
    """Returns the actions of carriers that agree, and of the scout if it is there."""
    return {"carrier_0": move, "carrier_1": move, **scout}


def test_config_misspelt_key_is_refused_with_the_right_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'length'"):
        {{cookiecutter.__class_name}}({"lenght": 9})


def test_config_too_short_corridor_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 5 cells, got 4"):
        EnvConfig(length=4)


def test_reset_begins_without_the_scout() -> None:
    observations, infos = {{cookiecutter.__class_name}}().reset(seed=0)
    assert list(observations) == ["carrier_0", "carrier_1"]
    assert infos == {}


def test_step_carrier_sees_its_own_way_first() -> None:
    env = started((2, 6), load=4)
    observations, *_ = env.step(both(RIGHT))
    np.testing.assert_allclose(observations["carrier_0"], [1 / 8, -3 / 8, 4 / 8, 0, 0])
    np.testing.assert_allclose(observations["carrier_1"], [-3 / 8, 1 / 8, 4 / 8, 0, 0])


def test_step_carrier_at_the_load_holds_it() -> None:
    observations, *_ = started((4, 8), load=4).step(both(LEFT))
    np.testing.assert_allclose(observations["carrier_0"], [0, -3 / 8, 4 / 8, 0, 0])


def test_step_without_progress_costs_a_hundredth() -> None:
    _, rewards, terminated, truncated, _ = started((0, 8), load=4).step(both(LEFT))
    assert rewards == pytest.approx({"carrier_0": -0.01, "carrier_1": -0.01})
    assert not any(terminated.values()) and not any(truncated.values())


def test_step_scout_joins_when_the_load_is_lifted() -> None:
    env = started((3, 5), load=4, open_dock=1)
    observations, rewards, *_ = env.step({"carrier_0": RIGHT, "carrier_1": LEFT})
    assert observations["scout"] == 1
    assert observations["carrier_0"][3] == 1
    assert "scout" not in rewards and "scout" in env.agents


def test_step_load_moves_only_with_carriers_that_agree() -> None:
    env = started((3, 5), load=4)
    env.step({"carrier_0": RIGHT, "carrier_1": LEFT})
    observations, rewards, *_ = env.step({**AGAINST, "scout": SHOW_LEFT})
    np.testing.assert_allclose(observations["carrier_0"], [0, 0, 4 / 8, 1, -1])
    observations, rewards, *_ = env.step(both(RIGHT, scout=SHOW_RIGHT))
    np.testing.assert_allclose(observations["carrier_1"], [0, 0, 5 / 8, 1, 1])
    assert rewards == pytest.approx({"carrier_0": 0.09, "carrier_1": 0.09, "scout": 0.09})


def test_step_scout_leaves_and_what_it_showed_stays() -> None:
    env = started((3, 5), load=4)
    env.step({"carrier_0": RIGHT, "carrier_1": LEFT})
    for _ in range(2):
        *_, terminated, _, _ = env.step({**AGAINST, "scout": SHOW_NOTHING})
        assert not terminated["scout"]
    observations, rewards, terminated, *_ = env.step({**AGAINST, "scout": SHOW_LEFT})
    assert terminated == {"carrier_0": False, "carrier_1": False, "scout": True, "__all__": False}
    assert "scout" in observations and "scout" in rewards and "scout" not in env.agents
    observations, rewards, *_ = env.step(AGAINST)
    assert observations["carrier_0"][4] == -1
    assert "scout" not in observations and "scout" not in rewards


def test_step_to_the_open_dock_ends_the_episode_for_all() -> None:
    env = started((6, 6), load=6)
    env.step(both(LEFT))
    env.step(both(RIGHT, scout=SHOW_RIGHT))
    observations, rewards, terminated, truncated, _ = env.step(both(RIGHT, scout=SHOW_RIGHT))
    assert set(observations) == set(rewards) == {"carrier_0", "carrier_1", "scout"}
    assert all(terminated.values()) and terminated["__all__"] and not any(truncated.values())
    assert env.agents == []


def test_step_to_the_closed_dock_goes_on() -> None:
    env = started((2, 2), load=2, open_dock=1)
    env.step(both(LEFT))
    env.step(both(LEFT, scout=SHOW_RIGHT))
    _, rewards, terminated, *_ = env.step(both(LEFT, scout=SHOW_RIGHT))
    assert rewards["carrier_0"] == pytest.approx(-0.11)
    assert not terminated["__all__"]


def test_render_shows_the_load_between_its_carriers() -> None:
    image = started((1, 3), load=2).render()
    assert image.shape == (96, 288, 3)
    brown, blue, green = (120, 80, 40), (40, 80, 200), (60, 160, 60)
    cells = {(1, 2): brown, (0, 1): blue, (2, 3): blue, (1, 8): green}
    for (row, column), colour in cells.items():
        assert tuple(image[32 * row, 32 * column]) == colour
