"""The algorithm of a run: built, restored, and built anew from the last checkpoint when a machine has failed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from ..cli import RunError
from ..rllib.env_runner import CopyLost
from ..vectorization.settings import Vectorization
from .cluster import cluster_cpus
from .run_folder import BEST, LAST, RunFolder

RL_MODULE = "learner/rl_module"  # RLlib's name for the networks in a learner's state
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

    def build(self, part: int, from_checkpoint: bool) -> None:
        """Builds the algorithm.

        Args:
            part: how often the run has been started before; each part has environment seeds of its own.
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
            weights = self.algorithm.learner_group.get_state(components=[RL_MODULE], inference_only=True)["learner"]
            group.foreach_env_runner(lambda runner: runner.set_state({"rl_module": weights["rl_module"]}))
        if part:
            group.foreach_env_runner(lambda runner: runner.begin(part))

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

    def save(self, path: str) -> None:
        """Writes RLlib's part of a checkpoint into a folder."""
        assert self.algorithm is not None
        self.algorithm.save_to_path(path)

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
