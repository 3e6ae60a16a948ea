"""The algorithm of a run: built, restored, and built anew from the last checkpoint when a machine has failed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE

from ..cli import RunError
from ..policy.find import BEST, LAST, POLICY
from ..policy.folder import save_policy
from ..rllib.env_runner import CopyLost
from ..rllib.rl_module import trained_actor
from ..vectorization.settings import Vectorization
from .cluster import cluster_cpus
from .run_folder import RunFolder

RL_MODULE = f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}"  # the networks in the state of the learners
MOST_ATTEMPTS = 3  # without a finished iteration in between; then something breaks every time


class RestartableAlgorithm:
    """Holds RLlib's algorithm, which may be another one after a fault.

    Args:
        folder: where the last checkpoint lies.
        configure: returns RLlib's configuration for processes and copies to sample with.
        vectorization: the same; fewer processes are used when the cluster has lost some of its CPUs.
    """

    def __init__(
        self, folder: RunFolder, configure: Callable[[Vectorization], AlgorithmConfig], vectorization: Vectorization
    ) -> None:
        self.algorithm: Algorithm | None = None
        self._folder, self._configure, self._vectorization = folder, configure, vectorization
        self._attempts = 0  # since the last finished iteration

    def build(self, restart_count: int, from_checkpoint: bool) -> None:
        """Builds the algorithm.

        Args:
            restart_count: how often the run was started before; each start has environment seeds of its own.
            from_checkpoint: goes on from the last checkpoint.

        Raises:
            RunError: the checkpoint is damaged.
        """
        runners = self._vectorization.num_env_runners
        runners = min(runners, cluster_cpus(wanted=runners))
        self.algorithm = self._configure(replace(self._vectorization, num_env_runners=runners)).build_algo()
        group = self.algorithm.env_runner_group
        if from_checkpoint:
            self._restore(self.algorithm, self._folder.checkpoint(LAST))
            # RLlib sends the weights, too, but drops them where an env runner is still busy with its first ones: it would
            # sample a batch with a new policy. Without their number they are taken in any case.
            weights = self.algorithm.learner_group.get_state(components=[RL_MODULE], inference_only=True)
            networks = {COMPONENT_RL_MODULE: weights[COMPONENT_LEARNER][COMPONENT_RL_MODULE]}
            group.foreach_env_runner(lambda runner: runner.set_state(networks))
        if restart_count:
            group.foreach_env_runner(lambda runner: runner.seed_envs(restart_count))

    def _restore(self, algorithm: Algorithm, checkpoint: Path) -> None:
        try:
            algorithm.restore_from_path(str(checkpoint.resolve()))
        except RayError:
            raise
        except Exception as error:  # unpickling raises all kinds of them
            raise RunError(
                f"{checkpoint} is damaged ({type(error).__name__}: {str(error)[:100]}); "
                f"put {checkpoint.with_name(BEST)} in its place, or start a new run"
            ) from None

    def train(self) -> Mapping[str, Any]:
        """Samples a batch and learns from it; returns RLlib's result."""
        assert self.algorithm is not None
        result = self.algorithm.train()
        self._attempts = 0
        return result

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Writes a checkpoint into a folder: RLlib's own state to go on from, and the policy with what it is of."""
        assert self.algorithm is not None
        self.algorithm.save_to_path(str(path))
        save_policy(path / POLICY, trained_actor(self.algorithm), facts)

    def stop_to_build_anew(self) -> None:
        """Stops what is left of the algorithm after a fault.

        Raises:
            RunError: it was built anew several times, and failed each time before an iteration was finished.
        """
        self._attempts += 1
        self.stop()
        if self._attempts > MOST_ATTEMPTS:
            raise RunError(
                f"training was started anew {MOST_ATTEMPTS} times and failed each time within one iteration; a crash "
                "in the environment's own C code looks like that: run it in this process by --debug to see it"
            )

    def stop(self) -> None:
        """Ends the env runners at once, also those that are busy, and closes the rest."""
        algorithm, self.algorithm = self.algorithm, None
        if algorithm is not None:
            algorithm.env_runner_group.reset([])  # kills them; RLlib's `stop` waits for their samples
            algorithm.stop()


def is_machines_fault(error: BaseException) -> bool:
    """Tells whether a process or a machine is gone, rather than code at fault."""
    return isinstance(error, CopyLost) or (isinstance(error, RayError) and not isinstance(error, RayTaskError))
