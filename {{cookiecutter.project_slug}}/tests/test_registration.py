"""The environment is the same wherever it is made, and no copy shares anything with another."""

import subprocess
import sys
from typing import Any

import gymnasium as gym
import pytest

from {{cookiecutter.__package_name}} import ENV_ID, {{cookiecutter.__class_name}}, env_creator
from {{cookiecutter.__package_name}}.config import read_config
from {{cookiecutter.__package_name}}.env import MAX_EPISODE_STEPS, REWARD_THRESHOLD, EnvConfig
from {{cookiecutter.__package_name}}.registration import make_env


class Context(dict[str, Any]):
    """Stands for RLlib's EnvContext: a dict with attributes."""

    worker_index: int


def test_make_in_a_fresh_process_needs_no_import() -> None:
    code = f"import gymnasium; print(gymnasium.make('{{cookiecutter.__package_name}}:{ENV_ID}').unwrapped)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "{{cookiecutter.__class_name}}" in done.stdout


def test_make_and_env_creator_give_the_same_environment() -> None:
    for env in (gym.make(ENV_ID), env_creator({})):
        assert {{cookiecutter.__class_name}}.__name__ in str(env.unwrapped)
        assert env.spec is not None
        assert env.spec.max_episode_steps == MAX_EPISODE_STEPS
        assert env.spec.reward_threshold == REWARD_THRESHOLD


@pytest.mark.parametrize("config", [None, {}, Context()])
def test_env_creator_takes_none_dict_and_context(config: Any) -> None:
    assert env_creator(config).unwrapped.config == EnvConfig()  # type: ignore[attr-defined]


def test_each_copy_gets_a_config_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(gym, "make", lambda *_, config, **__: seen.append(config) or gym.Env())  # type: ignore
    config = Context(setting=[1])
    config.worker_index = 2
    make_env(config)
    make_env(config)
    seen[0]["setting"].append(2)
    assert config["setting"] == seen[1]["setting"] == [1]
    assert seen[1].worker_index == 2


def test_read_config_fills_fields_from_a_contexts_attributes() -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Config:
        worker_index: int = 0
        items: int = 3  # also the name of a method of every dict

    context = Context()
    context.worker_index = 5
    assert read_config(Config, context) == Config(worker_index=5, items=3)
    assert read_config(Config, Context(worker_index=1)) == Config(worker_index=1)


def test_read_config_refuses_what_is_no_mapping() -> None:
    with pytest.raises(ValueError, match="must be a dict or None, got list"):
        read_config(EnvConfig, ["length"])  # type: ignore[arg-type]
