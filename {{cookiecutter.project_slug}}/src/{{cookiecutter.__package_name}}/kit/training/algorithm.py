"""The algorithm of a run: built, restored from a checkpoint, saved, and stopped."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.exceptions import RayError, RayTaskError
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE, DEFAULT_MODULE_ID

from ..cli import RunError
from ..policy.find import BEST, LAST, POLICY
from ..policy.folder import save_policy
from ..rllib.env_runner import CopyLost
from ..rllib.rl_module import trained_actors
from ..vectorization.settings import Vectorization
from .cluster import beside_learners
from .run_folder import RunFolder
from .start import stop_ray

if TYPE_CHECKING:
    from .self_play import SelfPlay

RL_MODULE = f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}"  # the networks in the state of the learners


@dataclass
class RestartableAlgorithm:
    """Holds RLlib's algorithm, which is another one after a fault.

    Attributes:
        folder: where the last checkpoint lies.
        configure: returns RLlib's configuration for processes and copies to sample with.
        vectorization: the same; fewer processes are used when the cluster has lost some of its CPUs.
        self_play: keeps the past selves, where agents play against them.
        algorithm: RLlib's, between `build` and `stop`.
    """

    folder: RunFolder
    configure: Callable[[Vectorization], AlgorithmConfig]
    vectorization: Vectorization
    self_play: "SelfPlay | None" = None
    algorithm: Algorithm | None = None
    _leaving: threading.Thread | None = field(default=None, init=False)

    def build(self, restart_count: int, from_checkpoint: bool) -> None:
        """Builds the algorithm.

        Args:
            restart_count: how often the run was started before; each start has environment seeds of its own.
            from_checkpoint: goes on from the last checkpoint.

        Raises:
            RunError: the checkpoint is damaged.
        """
        fitted = beside_learners(self.vectorization, self.configure(self.vectorization))
        self.algorithm = self.configure(fitted).build_algo()
        group = self.algorithm.env_runner_group
        if from_checkpoint:
            restore(self.algorithm, self.folder.checkpoint(LAST))
            # RLlib sends the weights, too, but drops them where an env runner is still busy with its first ones: it would
            # sample a batch with a new policy. Without their number they are taken in any case.
            weights = self.algorithm.learner_group.get_state(components=[RL_MODULE], inference_only=True)
            networks = {COMPONENT_RL_MODULE: weights[COMPONENT_LEARNER][COMPONENT_RL_MODULE]}
            group.foreach_env_runner(lambda runner: runner.set_state(networks))
        if self.self_play:
            self.self_play.begin(self.algorithm, self.folder.facts(LAST).get("env_steps", 0))
        if restart_count:
            group.foreach_env_runner(lambda runner: runner.seed_envs(restart_count))

    def train(self) -> Mapping[str, Any]:
        """Samples a batch and learns from it; returns RLlib's result."""
        assert self.algorithm is not None
        return self.algorithm.train()

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Writes a checkpoint into a folder: RLlib's own state to go on from, and the policy with what it is of."""
        assert self.algorithm is not None
        self.algorithm.save_to_path(str(path))
        actors = trained_actors(self.algorithm)
        if self.algorithm.config.is_multi_agent:
            from ..policy.multi_agent import save_policies  # late: few have several agents

            save_policies(path / POLICY, actors, facts)
        else:
            save_policy(path / POLICY, actors[DEFAULT_MODULE_ID], facts)

    def take_snapshot(self, iteration: int, env_steps: int) -> None:
        """Keeps what was learned as a past self, where agents play against one and it is time."""
        if self.self_play and self.algorithm:
            self.self_play.after_iteration(self.algorithm, iteration, env_steps)

    def leave_ray(self, close: bool) -> None:
        """Ends Ray's processes in a thread, which `stop` waits for: results can be written meanwhile.

        Args:
            close: the environment first.
        """
        if close:
            self.stop()
        algorithm = self.algorithm

        def leave() -> None:
            if algorithm is not None and algorithm.config.num_learners:
                return  # `stop` still needs Ray
            with suppress(RayError):  # a process of Ray may be gone already
                for group in (algorithm.env_runner_group, algorithm.eval_env_runner_group) if algorithm else ():
                    if group is not None:
                        group.reset([])
                stop_ray()

        self._leaving = threading.Thread(target=leave)
        self._leaving.start()

    def stop(self) -> None:
        """Ends the env runners at once, also those that are busy, and closes the rest."""
        algorithm, self.algorithm = self.algorithm, None
        if self._leaving is not None:
            self._leaving.join()
        if algorithm is not None:
            algorithm.env_runner_group.reset([])  # kills them; RLlib's `stop` waits for their samples
            algorithm.stop()


def restore(algorithm: Algorithm, checkpoint: Path) -> None:
    """Reads RLlib's own state; raises RunError where it is damaged."""
    try:
        algorithm.restore_from_path(str(checkpoint.resolve()))
    except RayError:
        raise
    except Exception as error:  # unpickling raises all kinds of them
        raise RunError(
            f"{checkpoint} is damaged ({type(error).__name__}: {str(error)[:100]}); "
            f"put {checkpoint.with_name(BEST)} in its place, or start a new run"
        ) from None


def is_machines_fault(error: BaseException) -> bool:
    """Tells whether a process or a machine is gone, rather than code at fault."""
    return isinstance(error, CopyLost) or (isinstance(error, RayError) and not isinstance(error, RayTaskError))
