"""Trains the environment of a baked project with another library's PPO, for panel.py; prints one JSON object.

PROJECT/.venv/bin/python benchmarks/panel_worker.py stable-baselines3 --stop-return 475 --seed 0 --max-seconds 60
"""

import argparse
import json
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

WINDOW_EPISODES, FEWEST_EPISODES = 50, 20  # as `train` counts them


class Clock:
    """Tells when the mean return of enough episodes has reached the threshold, or the time is over."""

    def __init__(self, stop_return: float, max_seconds: float) -> None:
        self.stop_return, self.max_seconds = stop_return, max_seconds
        self.returns: deque[float] = deque(maxlen=WINDOW_EPISODES)
        self.start = time.perf_counter()
        self.env_steps = 0

    @property
    def mean(self) -> float | None:
        """The mean return, once enough episodes have ended."""
        return sum(self.returns) / len(self.returns) if len(self.returns) >= FEWEST_EPISODES else None

    @property
    def solved(self) -> bool:
        """Whether the threshold is reached."""
        return self.mean is not None and self.mean >= self.stop_return

    @property
    def over(self) -> bool:
        """Whether training is to end."""
        return self.solved or time.perf_counter() - self.start > self.max_seconds

    def report(self) -> dict[str, Any]:
        """What panel.py reads."""
        seconds = time.perf_counter() - self.start
        return {"solved": self.solved, "seconds": seconds, "env_steps": self.env_steps, "last_return": self.mean}


def stable_baselines3(clock: Clock, seed: int, copies: int) -> None:
    """Trains with the defaults of Stable-Baselines3's PPO."""
    from panel_task import TASK
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            clock.env_steps = self.num_timesteps
            ended = [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
            clock.returns.extend(ended)
            return not (clock.over if ended or self.n_calls % 100 == 0 else False)

    model = PPO("MlpPolicy", make_vec_env(TASK.make, n_envs=copies, seed=seed), seed=seed, device="cpu")
    clock.start = time.perf_counter()
    model.learn(total_timesteps=10**9, callback=Watch())


def rllib(clock: Clock, seed: int, copies: int) -> None:
    """Trains with the defaults of RLlib's PPO, two env runners with one copy each."""
    import ray
    from panel_task.registration import register_env
    from ray.rllib.algorithms.ppo import PPOConfig

    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.init(num_cpus=4, include_dashboard=False, logging_level=logging.ERROR, _node_ip_address="127.0.0.1")

    def log_return(*, episode: Any, prev_episode_chunks: Any = (), metrics_logger: Any, **_: Any) -> None:
        total = sum(float(chunk.get_return()) for chunk in (*prev_episode_chunks, episode))
        metrics_logger.log_value("returns", total, reduce="item_series")

    config = PPOConfig().environment(register_env()).callbacks(on_episode_end=log_return)
    algorithm = config.debugging(seed=seed, log_level="ERROR").build_algo()
    clock.start = time.perf_counter()
    while not clock.over:
        result = algorithm.train()
        returns = result["env_runners"].get("returns", ())
        clock.returns.extend([] if isinstance(returns, float) else map(float, returns))  # NaN where no episode ended
        clock.env_steps = int(result["num_env_steps_sampled_lifetime"])


LIBRARIES: dict[str, Callable[[Clock, int, int], None]] = {"stable-baselines3": stable_baselines3, "rllib": rllib}


def main() -> None:
    """Trains until the threshold or the end of the time, and prints what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("--stop-return", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--max-seconds", type=float, required=True)
    parser.add_argument("--copies", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    clock = Clock(options.stop_return, options.max_seconds)
    LIBRARIES[options.library](clock, options.seed, options.copies)
    print(json.dumps(clock.report()), flush=True)


if __name__ == "__main__":
    main()
