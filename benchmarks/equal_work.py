"""What sampling and updating cost: RLlib, the template's parts in it, and Stable-Baselines3 do the same work in turn.

    .venv/bin/pip install stable-baselines3
    .venv/bin/python benchmarks/equal_work.py --rounds 20

The work is CartPole with 16 copies, a batch of 2,048 steps, 10 epochs of minibatches of 256, separate networks of 64 x 64
and one torch thread. All variants live in one process and take turns, an iteration each; a row shows medians over
the rounds, of the wall and of the processor's time. Two rows are the template with its own settings, and what of them
are the networks alone: the same forward and backward passes with nothing around them, which no PPO in torch can beat.
"""

import argparse
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

COPIES, BATCH_STEPS, MINIBATCH, EPOCHS = 16, 2_048, 256, 10
REFERENCE = "Stable-Baselines3"
SHIPPED, SHIPPED_COPIES, SHIPPED_MINIBATCH = "template, shipped settings", 32, 512
PLAIN, LIMIT = "plain torch, one file", "equal work, the networks alone"
SHIPPED_LIMIT = "shipped settings, the networks alone"


def rllib_config() -> Any:
    """Returns RLlib's PPO with the work to do, and nothing else set."""
    from panel_task.registration import register_env
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

    model = DefaultModelConfig(fcnet_hiddens=[64, 64], vf_share_layers=False)
    sizes: dict[str, Any] = {
        "train_batch_size_per_learner": BATCH_STEPS,
        "minibatch_size": MINIBATCH,
        "num_epochs": EPOCHS,
    }
    return (
        PPOConfig()
        .environment(register_env())
        .env_runners(num_env_runners=0, num_envs_per_env_runner=COPIES)
        .training(lr=3e-4, grad_clip=0.5, **sizes)
        .rl_module(model_config=model)
        .debugging(log_level="ERROR", seed=0)
    )


def without_normalizing(config: Any) -> Any:
    """Leaves out what turns a policy's actions into the bounds of a Box."""
    return config.environment(normalize_actions=False)


def without_metrics(config: Any) -> Any:
    """Leaves out the KL loss, and what is logged of the machine and of each gradient."""
    config = without_normalizing(config).training(use_kl_loss=False).debugging(log_sys_usage=False)
    config.log_gradients = False
    config.torch_skip_nan_gradients = True
    return config


def by_settings(config: Any) -> Any:
    """Leaves out the connectors that CartPole doesn't need, too: all that RLlib's settings can do."""
    from ray.rllib.connectors import env_to_module, module_to_env

    return without_metrics(config).env_runners(
        add_default_connectors_to_env_to_module_pipeline=False,
        env_to_module_connector=lambda env, spaces, device: [
            env_to_module.AddObservationsFromEpisodesToBatch(),
            env_to_module.BatchIndividualItems(),
            env_to_module.NumpyToTensor(device=device),
        ],
        add_default_connectors_to_module_to_env_pipeline=False,
        module_to_env_connector=lambda env, spaces: [
            module_to_env.GetActions(),
            module_to_env.TensorToNumpy(),
            module_to_env.UnBatchToIndividualItems(),
            module_to_env.ListifyDataForVectorEnv(),
        ],
    )


def variants() -> dict[str, Callable[[], Any]]:
    """Returns for each row a function that trains for an iteration."""
    from panel_task import TASK
    from panel_task.kit.rllib.config import algorithm_config
    from panel_task.kit.vectorization.settings import Vectorization
    from plain_torch import PlainPPO
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    both = algorithm_config(TASK, Vectorization(0, COPIES, "sync", ""), seed=0)
    both.training(train_batch_size_per_learner=BATCH_STEPS, minibatch_size=MINIBATCH, num_epochs=EPOCHS)
    configs = {
        "RLlib": rllib_config(),
        "- without normalised actions": without_normalizing(rllib_config()),
        "- nor KL loss and metrics": without_metrics(rllib_config()),
        "- nor connectors: RLlib by settings": by_settings(rllib_config()),
        "template, equal work": both,
        SHIPPED: algorithm_config(TASK, Vectorization(0, SHIPPED_COPIES, "sync", ""), seed=0),
    }
    model = PPO(
        "MlpPolicy",
        make_vec_env(TASK.make, n_envs=COPIES),
        n_steps=BATCH_STEPS // COPIES,
        batch_size=MINIBATCH,
        n_epochs=EPOCHS,
        device="cpu",
        seed=0,
    )
    rows: dict[str, Callable[[], Any]] = {name: config.build_algo().train for name, config in configs.items()}
    plain = PlainPPO(TASK.make, COPIES, BATCH_STEPS, MINIBATCH, EPOCHS)
    shipped = PlainPPO(TASK.make, SHIPPED_COPIES, BATCH_STEPS, SHIPPED_MINIBATCH, EPOCHS)
    rows[LIMIT], rows[SHIPPED_LIMIT], rows[PLAIN] = plain.networks_alone, shipped.networks_alone, plain.train
    rows[REFERENCE] = lambda: model.learn(BATCH_STEPS, reset_num_timesteps=False)
    return rows


def measure(rounds: int) -> None:
    """Lets the variants take turns, in a process that can import the project, and prints the table."""
    import ray
    import torch

    torch.set_num_threads(1)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    rows = variants()
    wall: dict[str, list[float]] = {name: [] for name in rows}
    processor: dict[str, list[float]] = {name: [] for name in rows}
    for turn in range(rounds + 2):
        for name, train in rows.items():
            start = time.perf_counter(), time.process_time()
            train()
            if turn >= 2:  # the first iterations load code and make buffers
                wall[name].append(time.perf_counter() - start[0])
                processor[name].append(time.process_time() - start[1])
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ray", "torch", "stable-baselines3"))
    print(f"\nPython {platform.python_version()}, {versions}; {os.cpu_count()} cores, medians of {rounds} rounds")
    print(
        "| | steps/s | of Stable-Baselines3 | of plain torch | ms of processor | of Stable-Baselines3 | of plain torch |"
        "\n|---|---|---|---|---|---|---|"
    )
    for name in rows:
        seconds, busy = median(wall[name]), median(processor[name])
        walls = " | ".join(f"{median(wall[other]) / seconds:.2f}" for other in (REFERENCE, PLAIN))
        ratios = " | ".join(f"{median(processor[other]) / busy:.2f}" for other in (REFERENCE, PLAIN))
        print(f"| {name} | {BATCH_STEPS / seconds:,.0f} | {walls} | {1e3 * busy:.0f} | {ratios} |")


def main() -> None:
    """Bakes a project with CartPole in it and measures with its Python."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20, help="iterations of each; default: %(default)s")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return measure(options.rounds)
    from tasks import PANEL, clean_environment, panel_project

    with tempfile.TemporaryDirectory() as folder:
        project = panel_project(Path(folder))
        PANEL[0].write(project)
        command = [str(project.python), "-W", "ignore", __file__, "--inside", f"--rounds={options.rounds}"]
        subprocess.run(command, cwd=project.path, env=clean_environment(), check=True)


if __name__ == "__main__":
    main()
