"""What extends RLlib: networks, learner and env runner.

Here, and nowhere else in the kit, names of Ray are used that are private; a test of the template looks whether the
installed Ray still has them.
"""

import logging

PRIVATE_NAMES = {
    "ray.experimental.internal_kv": "_internal_kv_put _internal_kv_get _internal_kv_del",
    "ray.rllib.algorithms.algorithm_config:AlgorithmConfig": "_env_to_module_connector _module_to_env_connector",
    "ray.rllib.env.single_agent_env_runner:SingleAgentEnvRunner": (
        "_cached_to_module _callbacks _done_episodes_for_metrics _increase_sampled_metrics _log_env_steps "
        "_make_on_episode_callback _metrics_num_env_steps_sampled _needs_initial_reset _new_episode "
        "_ongoing_episodes _ongoing_episodes_for_metrics _reset_envs_and_episodes _sample _seed"
    ),
    "ray.rllib.algorithms.ppo.torch.ppo_torch_learner:PPOTorchLearner": (
        "_learner_connector _log_steps_trained_metrics _make_batch_if_necessary _weights_seq_no"
    ),
    "ray.rllib.core.rl_module.torch:TorchRLModule": "_forward",
}


def quieten() -> None:
    """Keeps what Ray logs from the terminal; its errors are raised as well. Call it after importing RLlib."""
    for logger in ("ray", "ray.rllib"):  # importing them has set their levels
        logging.getLogger(logger).setLevel(logging.CRITICAL)
