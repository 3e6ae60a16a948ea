"""Trains the environment of a baked project with another library's PPO, for panel.py; prints one JSON object.

PROJECT/.venv/bin/python benchmarks/panel_worker.py zoo --row CartPole-v1 --stop-return 475 --seed 0 --max-seconds 60
"""

import argparse
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from clock import Clock
from gymnasium import spaces

LOOK_EVERY_STEPS = 2_048  # at most; looking more often than the template does would be luckier
ZOO: dict[str, Any] = json.loads(Path(__file__).with_name("zoo.json").read_text(encoding="utf-8"))["settings"]


def flat(env: gym.Env[Any, Any], *, keep: tuple[type, ...] = ()) -> gym.Env[Any, Any]:
    """Makes observations a row of float32, by Gymnasium's wrappers, where they are neither that nor in a space to keep."""
    space = env.observation_space
    is_row = isinstance(space, spaces.Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating)
    if is_row or isinstance(space, keep):
        return env
    return gym.wrappers.DtypeObservation(gym.wrappers.FlattenObservation(env), np.float32)


def for_stable_baselines3(make: Callable[[], gym.Env[Any, Any]]) -> gym.Env[Any, Any]:
    """Makes an environment that Stable-Baselines3's PPO takes: Discrete and Dict are left to it."""
    return flat(make(), keep=(spaces.Discrete, spaces.Dict))


def default_model(make: Callable[[], gym.Env[Any, Any]], seed: int) -> Any:
    """Makes Stable-Baselines3's PPO as it comes."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env(lambda: for_stable_baselines3(make), seed=seed)
    policy = "MultiInputPolicy" if isinstance(envs.observation_space, spaces.Dict) else "MlpPolicy"
    return PPO(policy, envs, seed=seed, device="cpu")


def zoo_model(row: str, make: Callable[[], gym.Env[Any, Any]], seed: int) -> Any:
    """Makes Stable-Baselines3's PPO as rl-baselines3-zoo has tuned it, read as the zoo reads its settings."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    settings = {name: value for name, value in ZOO[row].items() if name != "n_timesteps"}
    envs: Any = make_vec_env(lambda: for_stable_baselines3(make), n_envs=settings.pop("n_envs"), seed=seed)
    if settings.pop("normalize", False):
        envs = VecNormalize(envs, gamma=settings["gamma"])
    for name in ("learning_rate", "clip_range"):
        if str(settings.get(name)).startswith("lin_"):
            first = float(settings[name].removeprefix("lin_"))
            settings[name] = lambda remaining, first=first: first * remaining
    policy = dict(settings.pop("policy_kwargs", {}))
    if "activation_fn" in policy:
        policy["activation_fn"] = getattr(torch.nn, policy["activation_fn"])
    return PPO("MlpPolicy", envs, policy_kwargs=policy, seed=seed, device="cpu", **settings)


def learn(model: Any, clock: Clock, n_timesteps: int) -> None:
    """Trains a model of Stable-Baselines3, and goes on for as many steps again where they don't suffice."""
    from stable_baselines3.common.callbacks import BaseCallback

    look_every_calls = max(1, min(model.n_steps, LOOK_EVERY_STEPS // model.n_envs))

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            clock.env_steps = self.num_timesteps
            clock.returns.extend(info["episode"]["r"] for info in self.locals["infos"] if "episode" in info)
            return bool(self.n_calls % look_every_calls) or not clock.over

    clock.start()
    while not clock.over:
        model.learn(n_timesteps, callback=Watch(), reset_num_timesteps=False)


def stable_baselines3(clock: Clock, row: str, seed: int) -> None:
    """Trains with the defaults of Stable-Baselines3's PPO."""
    from panel_task import TASK

    learn(default_model(TASK.make, seed), clock, 10**9)


def zoo(clock: Clock, row: str, seed: int) -> None:
    """Trains with the zoo's settings for the row."""
    from panel_task import TASK

    learn(zoo_model(row, TASK.make, seed), clock, ZOO[row]["n_timesteps"])


def rllib(clock: Clock, row: str, seed: int) -> None:
    """Trains with the defaults of RLlib's PPO, two env runners with one copy each."""
    import ray
    from panel_task import TASK
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.tune.registry import register_env

    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.init(num_cpus=4, include_dashboard=False, logging_level=logging.ERROR, _node_ip_address="127.0.0.1")
    register_env(row, lambda _: flat(TASK.make()))

    def log_return(*, episode: Any, prev_episode_chunks: Any = (), metrics_logger: Any, **_: Any) -> None:
        total = sum(float(chunk.get_return()) for chunk in (*prev_episode_chunks, episode))
        metrics_logger.log_value("returns", total, reduce="item_series")

    config = PPOConfig().environment(row).callbacks(on_episode_end=log_return)
    algorithm = config.debugging(seed=seed, log_level="ERROR").build_algo()
    clock.start()
    while not clock.over:
        result = algorithm.train()
        returns = result["env_runners"].get("returns", ())
        clock.returns.extend([] if isinstance(returns, float) else map(float, returns))  # NaN where no episode ended
        clock.env_steps = int(result["num_env_steps_sampled_lifetime"])


RIVALS: dict[str, Callable[[Clock, str, int], None]] = {
    "zoo": zoo,
    "stable-baselines3": stable_baselines3,
    "rllib": rllib,
}


def main() -> None:
    """Trains until the threshold or the end of the time, and prints what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rival", choices=RIVALS)
    parser.add_argument("--row", required=True)
    parser.add_argument("--stop-return", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--max-seconds", type=float, required=True)
    parser.add_argument("--max-cpu-seconds", type=float, default=0.0)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    clock = Clock(options.stop_return, options.max_seconds, options.max_cpu_seconds)
    RIVALS[options.rival](clock, options.row, options.seed)
    print(json.dumps(clock.report()), flush=True)


if __name__ == "__main__":
    main()
