"""Yours: episodes that you worked out by hand, so that the rules are what you meant."""

import pytest

from {{cookiecutter.__package_name}} import {{cookiecutter.__class_name}}
from {{cookiecutter.__package_name}}.env import EnvConfig


def test_config_unknown_key_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown key 'no_such_setting'"):
        {{cookiecutter.__class_name}}({"no_such_setting": 1})


def test_config_default_is_used_without_config() -> None:
    assert {{cookiecutter.__class_name}}().config == EnvConfig()


@pytest.mark.skip(reason="write a short episode that you know the outcome of, then take this line out")
def test_step_follows_the_rules() -> None:
    env = {{cookiecutter.__class_name}}()
    observation, _ = env.reset(seed=0)
    observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    assert reward == 1.0
    assert not terminated
