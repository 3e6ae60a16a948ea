"""Yours: episodes that you worked out by hand, so that the rules are what you meant."""

from collections.abc import Iterator

import numpy as np
import pytest

from {{cookiecutter.__package_name}} import {{cookiecutter.__class_name}}
from {{cookiecutter.__package_name}}.env import EnvConfig
from {{cookiecutter.__package_name}}.simulator import Tank

LESS, AS_IT_IS, MORE = 0, 1, 2


@pytest.fixture
def env() -> Iterator[{{cookiecutter.__class_name}}]:
    """An environment with its simulator, which is ended after the test."""
    env = {{cookiecutter.__class_name}}()
    yield env
    env.close()


def tank_at(level: float, mark: float, valve: float, leak: float = 0.05) -> Tank:
    """Returns the simulator's tank, without a process."""
    tank = Tank(leak)
    tank.level, tank.mark, tank.valve = level, mark, valve
    return tank


def test_config_misspelt_key_is_refused_with_the_right_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'leak'"):
        {{cookiecutter.__class_name}}({"laek": 0.02})


def test_config_leak_that_the_valve_can_not_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="leak must be above 0 and below 0.08"):
        EnvConfig(leak=0.1)


def test_step_turns_the_valve_and_lets_in_what_it_leaks() -> None:
    answer = tank_at(0.25, 0.5, 0.5).step(MORE)  # 0.6 * 0.08 in, 0.05 * 0.5 out
    np.testing.assert_allclose(answer["observation"], [0.273, 0.5, 0.6])
    assert answer["reward"] == pytest.approx(1 - 2 * 0.227)
    assert not answer["terminated"]


def test_step_can_not_open_the_valve_any_further() -> None:
    assert tank_at(0.5, 0.5, 1.0).step(MORE)["observation"][2] == 1.0
    assert tank_at(0.5, 0.5, 0.0).step(LESS)["observation"][2] == 0.0


@pytest.mark.parametrize(("level", "valve", "last"), [(0.99, 1.0, 1.0), (0.06, 0.0, 0.0478)])
def test_flood_and_drought_end_the_episode(level: float, valve: float, last: float) -> None:
    answer = tank_at(level, 0.5, valve).step(AS_IT_IS)
    assert answer["terminated"] and answer["reward"] == -1.0
    assert answer["observation"][0] == pytest.approx(last, abs=1e-4)


def test_environment_plays_what_the_simulator_says(env: {{cookiecutter.__class_name}}) -> None:
    observation, _ = env.reset(seed=3)
    tank = tank_at(*observation.tolist())
    for action in (MORE, MORE, AS_IT_IS, LESS):
        answer, result = tank.step(action), env.step(action)
        np.testing.assert_allclose(result[0], answer["observation"], rtol=1e-5)
        assert result[1] == pytest.approx(answer["reward"], rel=1e-5)
        assert result[2:] == (False, False, {})
