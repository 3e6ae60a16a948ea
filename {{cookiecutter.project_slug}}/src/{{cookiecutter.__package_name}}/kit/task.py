"""The task: all that the machinery is told about a project's environment, and every way to make it."""

import copy
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

from .errors import UsageError
from .kinds import is_multi_agent

if TYPE_CHECKING:
    from .contract import Report
    from .multi_agent.policies import Roles

COPIES_TO_CHECK = 3  # of a VectorEnv, where nobody says how many


@dataclass(frozen=True)
class Task:
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

    def register(self) -> None:
        """Makes the environment known to `gymnasium.make` and, where it is one, to `gymnasium.make_vec`."""
        single: Any = f"{self.env_class.__module__}:{self.env_class.__name__}"
        if self.is_vector or self.is_multi_agent or issubclass(self.env_class, gym.Wrapper):
            single = self._single
        gym.register(
            id=self.env_id,
            entry_point=single,
            vector_entry_point=self.make_vector if self.is_vector else None,  # type: ignore[arg-type]
            max_episode_steps=None if self.is_multi_agent else self.max_episode_steps,
            reward_threshold=self.reward_threshold,
            disable_env_checker=self.is_multi_agent,  # Gymnasium's looks for one agent
            order_enforce=not self.is_multi_agent,
        )

    def make(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> gym.Env[Any, Any]:
        """Makes one copy of the environment, in its own spaces, with its time limit and a config of its own.

        Args:
            config: None, a dict or RLlib's EnvContext. RLlib hands the same object to every copy of an env runner;
                each copy gets a deep copy here, so that none can change another's.
            render_mode: one of the environment's `metadata["render_modes"]` to look at it, else None.
        """
        return gym.make(self.env_id, config=copy.deepcopy(config), render_mode=render_mode, disable_env_checker=True)

    def make_vector(
        self,
        config: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        num_envs: int = COPIES_TO_CHECK,
        max_episode_steps: int | None = None,
    ) -> Any:
        """Makes a VectorEnv, in its own spaces; `gymnasium.make_vec` calls it.

        Args:
            config: as of `make`; its `num_envs` goes before the argument.
            render_mode: as of `make`.
            num_envs: how many copies it steps.
            max_episode_steps: what `make_vec` passes on.

        Raises:
            ValueError: another time limit than the task's, which the environment itself keeps to.
        """
        if max_episode_steps not in (None, self.max_episode_steps):
            where = self.env_class.__module__
            raise ValueError(
                f"max_episode_steps is {self.max_episode_steps}, which a VectorEnv counts; change it in {where}"
            )
        own: Any = {} if config is None else copy.deepcopy(config)
        own.setdefault("num_envs", num_envs)
        return self.env_class(own, render_mode=render_mode)

    def _single(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> gym.Env[Any, Any]:
        """Makes what `gymnasium.make` takes of a class that is no plain environment."""
        from .making import single  # late: most are

        return single(self, config, render_mode)

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Raises UsageError where the environment refuses a config that the command line gives."""
        if not config:
            return
        try:
            env: Any = self.make_vector(config) if self.is_vector else self.make(config)
        except ValueError as error:
            raise UsageError(f"--config: {error}") from None
        env.close()

    def check(
        self, config: Mapping[str, Any] | None = None, *, quick: bool = False, ignore: Mapping[str, str] | None = None
    ) -> "Report":
        """Runs the contract on the environment, but for the checks that the project leaves out; see `run_checks`."""
        from .contract import ignored, run_checks  # late: most do without

        ignore = ignored(self.home) | dict(ignore or {})
        return run_checks(self.target, config, quick=quick, ignore=ignore, only_one=self.only_one)

    def make_adapted(
        self, config: Mapping[str, Any] | None = None, render_mode: str | None = None
    ) -> gym.Env[Any, Any]:
        """Makes one copy of the environment as PPO learns it, with the adapters around `make`'s.

        Raises:
            UnsupportedSpace: PPO can't learn with one of its spaces; the message says what to use instead.
        """
        from .making import adapted  # late: `import <package>` does without

        return adapted(self.make(config, render_mode))

    def make_guarded(self, config: Mapping[str, Any] | None = None) -> Any:
        """Makes what an env runner steps: adapters around a Guard, which ends training on what would only spoil it.

        Returns:
            One copy, or all `num_envs` of the config where it is a VectorEnv. Of several agents, without adapters.
        """
        from .making import guarded

        return guarded(self.make_vector(config) if self.is_vector else self.make(config))

    def register_with_rllib(self) -> str:
        """Makes the environment known to RLlib, on every machine of a cluster; returns the name to use there."""
        from ray.tune.registry import register_env

        from .making import for_rllib

        register_env(self.env_id, partial(for_rllib, self.make_guarded))
        return self.env_id

    def roles(self, config: Mapping[str, Any] | None = None) -> "Roles":
        """Returns who acts for whom among several agents; raises what `roles_of` does."""
        from .multi_agent.policies import roles_of

        env = self.make(config)
        env.close()
        return roles_of(env, self.policy_of)

    def configured(self, config: Any) -> Any:
        """Returns RLlib's `config` with PPO's numbers, which the project's own function sets."""
        module, _, name = self.algorithm.partition(":")
        return getattr(importlib.import_module(module), name)(config)
