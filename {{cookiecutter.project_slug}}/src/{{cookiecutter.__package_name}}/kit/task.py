"""The task: all that the machinery is told about a project's environment, and every way to make it."""

import copy
import importlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from .errors import UsageError
from .facts import Facts

if TYPE_CHECKING:
    from .contract import Report
    from .multi_agent.policies import Roles

COPIES_TO_CHECK = 3  # of a VectorEnv, where nobody says how many


class Task(Facts):
    """An environment of the project, as `registration.py` names it, and every way to make it."""

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
        if self.is_multi_agent:
            from .multi_agent import TimeLimit

            return TimeLimit(self.env_class(config, render_mode=render_mode), self.max_episode_steps)
        from .spaces.views import SingleCopy, Wrapped  # late: most are

        if self.is_vector:
            return SingleCopy(self.make_vector({**(config or {}), "num_envs": 1}, render_mode))
        return Wrapped(self.env_class(config=config, render_mode=render_mode))

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
        self, config: Mapping[str, Any] | None = None, *, ignore: Mapping[str, str] | None = None, **options: Any
    ) -> "Report":
        """Runs the contract on the environment, but for the checks that the project leaves out; see `run_checks`."""
        from .contract import ignored, run_checks  # late: most do without

        ignore = ignored(self.home) | dict(ignore or {})
        return run_checks(self.target, config, ignore=ignore, only_one=self.only_one, **options)

    def make_adapted(
        self, config: Mapping[str, Any] | None = None, render_mode: str | None = None
    ) -> gym.Env[Any, Any]:
        """Makes one copy of the environment as PPO learns it, with the adapters around `make`'s.

        Raises:
            UnsupportedSpace: PPO can't learn with one of its spaces; the message says what to use instead.
        """
        if self.is_multi_agent:
            from .multi_agent.adapters import AdaptedAgents

            return AdaptedAgents(self.make(config, render_mode))
        from .spaces import adapt  # late: `import <package>` does without

        return adapt(self.make(config, render_mode))

    def make_guarded(self, config: Mapping[str, Any] | None = None) -> Any:
        """Makes what an env runner steps: adapters around a Guard, which ends training on what would only spoil it.

        Returns:
            One copy, or all `num_envs` of the config where it is a VectorEnv. Of several agents, without adapters.
        """
        if self.is_multi_agent:
            from .multi_agent.guard import MultiAgentGuard

            return MultiAgentGuard(self.make(config))
        from .guard import Guard, VectorGuard
        from .spaces import adapt, adapt_vector

        if self.is_vector:
            return adapt_vector(VectorGuard(self.make_vector(config)))
        return adapt(Guard(self.make(config)))

    def register_with_rllib(self) -> str:
        """Makes the environment known to RLlib, on every machine of a cluster; returns the name to use there."""
        from ray.tune.registry import register_env

        make: Any = self.make_guarded
        if self.is_multi_agent:
            from .multi_agent.adapters import as_rllib

            make = partial(as_rllib, make)
        register_env(self.env_id, make)
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
