"""A trained policy, read from a checkpoint: observation in, greedy action out, without starting Ray."""

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from ray.rllib.core.rl_module.rl_module import RLModule

from .cli import UsageError
from .rllib.networks import greedy_action
from .task import Task
from .training.run_folder import BEST, CHECKPOINT_FILE, LAST, RUNS, newest_run, read_facts

MODULE = Path("learner_group", "learner", "rl_module", "default_policy")  # where RLlib keeps it in a checkpoint


class Policy:
    """The greedy policy of a checkpoint."""

    def __init__(self, task: Task, checkpoint: Path, env: gym.Env[Any, Any]) -> None:
        """Loads the policy.

        Args:
            task: of the environment.
            checkpoint: a folder that `find_checkpoint` has returned.
            env: an environment with the spaces that the policy was trained on.

        Raises:
            UsageError: the checkpoint is damaged, of another environment or of other spaces.
        """
        spaces = {"observation": str(env.observation_space), "action": str(env.action_space)}
        self.facts = read_facts(checkpoint, task.env_id, spaces)
        try:
            self._module: Any = RLModule.from_checkpoint(str((checkpoint / MODULE).resolve()))
        except Exception as error:  # unpickling raises all kinds of them
            raise UsageError(
                f"{checkpoint} can't be loaded ({type(error).__name__}: {str(error)[:100]}): it is damaged, or not of "
                f"the installed versions; it was made with {self.facts['versions']}"
            ) from None

    def act(self, observation: Any) -> Any:
        """Returns the most likely action for one observation, both as `env_creator`'s environment has them."""
        with torch.no_grad():
            return greedy_action(self._module, observation)


def find_checkpoint(given: str | None) -> Path:
    """Returns a checkpoint's folder.

    Args:
        given: a checkpoint's folder, a run's folder or a run's name (then its best checkpoint), or None for the
            newest run.

    Raises:
        UsageError: there is no checkpoint there.
    """
    path = newest_run() if given is None else Path(given)
    for candidate in (path, *(base / "checkpoints" / which for base in (path, RUNS / path) for which in (BEST, LAST))):
        if (candidate / CHECKPOINT_FILE).is_file() and (candidate / MODULE).is_dir():
            if RUNS.resolve() not in candidate.resolve().parents:
                print(f"{candidate} holds pickled code, which runs: only from people you trust", file=sys.stderr)
            return candidate
    raise UsageError(f"{path} is neither a checkpoint nor a run with one; give a folder such as {RUNS / 'NAME'}")
