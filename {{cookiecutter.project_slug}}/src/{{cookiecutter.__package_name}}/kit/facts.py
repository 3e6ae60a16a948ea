"""What a project's `registration.py` says of an environment, and the names that follow from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gymnasium.vector import VectorEnv

from .kinds import is_multi_agent


@dataclass(frozen=True)
class Facts:
    """What a project's `registration.py` tells the kit; it can be pickled, so that env runners get it too.

    Attributes:
        env_id: the environment's name in Gymnasium and in RLlib.
        env_class: called with `(config, render_mode=...)`. A VectorEnv steps all its copies at once; its config must
            then have the field `num_envs: int = 1`.
        max_episode_steps: the time limit; None where there is none. A VectorEnv counts itself.
        reward_threshold: the mean return at which the task counts as solved, or None.
        algorithm: where the function is that sets PPO's numbers, as "module:function"; imported when training starts.
        policy_of: of several agents, who acts for each; None lets agents with equal spaces share a policy.
        only_one: a device, a licence: a second copy, on this machine, can't be made before the first one is closed.
    """

    env_id: str
    env_class: type[Any]
    max_episode_steps: int | None
    reward_threshold: float | None
    algorithm: str
    only_one: bool = False
    policy_of: Callable[[Any], Any] | None = None

    @property
    def package(self) -> str:
        """The name of the project's package."""
        return self.env_class.__module__.partition(".")[0]

    @property
    def home(self) -> str:
        """The package of its registration.py and ppo.py: the project's, or one in it that `add` has made."""
        return self.algorithm.rpartition(".")[0]

    @property
    def env_option(self) -> list[str]:
        """What a command line says of the task: nothing where it is the project's first one."""
        name = self.home.partition(".")[2].replace("_", "-")
        return ["--env", name] if name else []

    def command(self, name: str) -> str:
        """Returns the line that a command of this task begins with."""
        return " ".join(["python -m", self.package, name, *self.env_option])

    @property
    def is_vector(self) -> bool:
        """Tells whether the environment steps all its copies itself."""
        return issubclass(self.env_class, VectorEnv)

    @property
    def is_multi_agent(self) -> bool:
        """Tells whether the environment holds several agents."""
        return is_multi_agent(self.env_class)

    @property
    def target(self) -> str:
        """What `check` looks at, as "module:attribute": found anew in a process of its own."""
        return f"{self.home}.registration:TASK.{'make_vector' if self.is_vector else 'make'}"
