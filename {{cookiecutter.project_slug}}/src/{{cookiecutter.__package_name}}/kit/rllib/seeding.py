"""The seed of a run, in every process that draws by it.

RLlib's own way asks torch for deterministic algorithms, which loads torch's compiler: two seconds of each start. On a CPU
they change no number of this training.
"""

import os
import random

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

SEED = "seed"  # where it is in `learner_config_dict`, which RLlib hands on


def take_over_seed(config: AlgorithmConfig) -> None:
    """Moves the seed of a configuration to where RLlib hands it on without using it."""
    config.learners(learner_config_dict={**config.learner_config_dict, SEED: config.seed})
    config.debugging(seed=None)


def seed_of(config: AlgorithmConfig) -> int | None:
    """Returns the seed of a configuration; None draws another one each time."""
    return config.learner_config_dict.get(SEED) if config.seed is None else config.seed


def seed_process(config: AlgorithmConfig, worker_index: int = 0) -> None:
    """Seeds Python, NumPy and torch in a process, as RLlib does; each env runner draws other actions."""
    if (seed := seed_of(config)) is None:
        return
    random.seed(seed + worker_index)
    np.random.seed(seed + worker_index)
    torch.manual_seed(seed + worker_index)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # these are for GPUs
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
