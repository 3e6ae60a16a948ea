"""Past selves: snapshots of policies that agents play against, kept with the run."""

import shutil
from collections.abc import Mapping
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm

from ..policy.find import OPPONENTS
from ..policy.folder import load_folder, save_policy
from ..rllib.rl_module import trained_actors
from .run_folder import RunFolder

EVERY_ITERATIONS = 10  # between two snapshots: of a policy that is younger, one would meet itself


class SelfPlay:
    """Takes snapshots of policies, which env runners draw opponents from, one an episode.

    They lie in `runs/<name>/opponents/<env_steps>/<policy>/`, the first of them before anything is learned.

    Args:
        folder: of the run.
        names: of the policies.
        facts: what each checkpoint says of itself.
    """

    def __init__(self, folder: RunFolder, names: set[str], facts: Mapping[str, Any]) -> None:
        self._path, self._names, self._facts = folder.path / OPPONENTS, names, facts
        self._snapshots: dict[str, list[Any]] = {}

    def begin(self, algorithm: Algorithm, env_steps: int) -> None:
        """Gives new env runners the snapshots up to the checkpoint that the run goes on from."""
        self._path.mkdir(exist_ok=True)
        for folder in self._path.iterdir():
            if not folder.name.isdecimal() or int(folder.name) > env_steps:
                shutil.rmtree(folder)  # of what was lost
        folders = sorted(self._path.iterdir(), key=lambda folder: int(folder.name))
        self._snapshots = {
            name: [load_folder(folder / name).actor.state_dict() for folder in folders if (folder / name).is_dir()]
            for name in self._names
        }
        if not all(self._snapshots.values()):
            self._take(algorithm, env_steps)
        self._send(algorithm)

    def after_iteration(self, algorithm: Algorithm, iteration: int, env_steps: int) -> None:
        """Takes a snapshot where it is time for one."""
        if iteration % EVERY_ITERATIONS == 0:
            self._take(algorithm, env_steps)
            self._send(algorithm)

    def _take(self, algorithm: Algorithm, env_steps: int) -> None:
        final = self._path / str(env_steps)
        new = final.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(final, ignore_errors=True)
        new.mkdir()
        for name, actor in trained_actors(algorithm).items():
            if name in self._names:
                shared = {key: fact for key, fact in self._facts.items() if key != "agents"}
                save_policy(
                    new / name, actor, {**shared, "spaces": self._facts["spaces"][name], "env_steps": env_steps}
                )
                weights = {key: tensor.detach().cpu().clone() for key, tensor in actor.state_dict().items()}
                self._snapshots[name].append(weights)
        new.rename(final)

    def _send(self, algorithm: Algorithm) -> None:
        snapshots = self._snapshots  # and not the rest of this object
        algorithm.env_runner_group.foreach_env_runner(lambda runner: runner.set_snapshots(snapshots))
