"""Agent steps per CPU second, sampled by the kit and by RLlib's own env runner for several agents.

Run it from the template's folder: `python benchmarks/multi_agent.py`. Both sample the same environment, with networks of
the same size, in turns, in one process. A ratio above 1 is the kit's.
"""

import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from gymnasium import spaces

PACKAGE = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}" / "src" / "{{cookiecutter.__package_name}}"
sys.path.insert(0, str(PACKAGE))
sys.dont_write_bytecode = True  # the template's folder stays as it is

from kit.multi_agent import MultiAgentEnv  # noqa: E402
from kit.task import Task  # noqa: E402

SIZES = ((2, 16), (10, 16), (50, 8))  # agents, copies
ROUNDS = 3
AGENT_STEPS = 60_000  # of each sample
EPISODE_STEPS = 100


class Crowd(MultiAgentEnv):
    """As many agents as its config says, each with a random walk of its own: all that a step costs is the machinery."""

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        self.possible_agents = list(range((config or {}).get("agents", 2)))
        self.agents = list(self.possible_agents)
        self.observation_spaces = {agent: spaces.Box(-10.0, 10.0, (4,), np.float32) for agent in self.agents}
        self.action_spaces = {agent: spaces.Discrete(2) for agent in self.agents}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[Any, Any], dict[Any, Any]]:
        super().reset(seed=seed)
        self._steps, self._walks = 0, np.zeros((len(self.agents), 4), np.float32)
        return self._observations(), {}

    def step(self, actions: dict[Any, Any]) -> tuple[Any, Any, Any, Any, Any]:
        self._steps += 1
        for agent, action in actions.items():
            self._walks[agent, action] = 0.9 * self._walks[agent, action] + 0.1
        is_over = self._steps == EPISODE_STEPS
        terminated = dict.fromkeys([*self.agents, "__all__"], False)
        truncated = dict.fromkeys([*self.agents, "__all__"], is_over)
        return self._observations(), dict.fromkeys(self.agents, 1.0), terminated, truncated, {}

    def _observations(self) -> dict[Any, Any]:
        return {agent: self._walks[agent].copy() for agent in self.agents}


def ppo_config(config: Any) -> Any:
    """Sets the size of the networks."""
    return config.training(use_kl_loss=False).rl_module(model_config={"hidden_units": [64, 64], "image_features": 8})


TASK = Task("Crowd-v0", Crowd, None, None, f"{__name__}:ppo_config")


def kit_runner(agents: int, copies: int) -> Any:
    """Makes the kit's env runner."""
    from kit.rllib.config import algorithm_config
    from kit.rllib.multi_agent import MultiAgentEnvRunner
    from kit.vectorization.settings import Vectorization

    config = algorithm_config(TASK, Vectorization(0, copies, "sync"), seed=0, env_config={"agents": agents})
    return MultiAgentEnvRunner(config=config)


def rllib_runner(agents: int, copies: int) -> Any:
    """Makes RLlib's own."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
    from ray.rllib.env.multi_agent_env import MultiAgentEnv as RLlibs
    from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner

    class ForRLlib(Crowd, RLlibs):
        """The same environment, of RLlib's class."""

    network = DefaultModelConfig(fcnet_hiddens=[64, 64], vf_share_layers=False)
    config = (
        PPOConfig()
        .environment(ForRLlib, env_config={"agents": agents})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=copies)
        .multi_agent(policies={"policy_0"}, policy_mapping_fn=lambda agent, episode, **_: "policy_0")
        .rl_module(model_config=network)
        .debugging(seed=0)
    )
    return MultiAgentEnvRunner(config=config)


def steps_per_cpu_second(runner: Any, env_steps: int) -> float:
    """Returns the agent steps that the runner samples in a second of CPU time of this process."""
    before = time.process_time()
    episodes = runner.sample(num_timesteps=env_steps)
    seconds = time.process_time() - before
    return sum(getattr(episode, "agent_steps", lambda one=episode: len(one))() for episode in episodes) / seconds


def main() -> None:
    """Measures all sizes, and prints a table."""
    import ray
    import torch

    TASK.register()
    torch.set_num_threads(1)
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
    names = ", ".join(f"{name} {version(name)}" for name in ("ray", "torch", "gymnasium", "numpy"))
    print(f"Python {platform.python_version()}, {names}, {os.cpu_count()} cores; medians of {ROUNDS}")
    print(f"{'agents x copies':>16}{'kit':>12}{'RLlib':>12}{'ratio':>8}   agent steps per CPU second")
    for agents, copies in SIZES:
        runners = [kit_runner(agents, copies), rllib_runner(agents, copies)]
        for runner in runners:
            runner.sample(num_timesteps=10 * copies)  # the first loads code
        rounds = [[steps_per_cpu_second(one, AGENT_STEPS // agents) for one in runners] for _ in range(ROUNDS)]
        ours, theirs = (median(column) for column in zip(*rounds, strict=True))
        print(f"{f'{agents} x {copies}':>16}{ours:12,.0f}{theirs:12,.0f}{ours / theirs:8.1f}", flush=True)


if __name__ == "__main__":
    main()
