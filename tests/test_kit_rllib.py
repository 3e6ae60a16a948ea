"""kit.rllib: the networks in RLlib's hands, settings that the learner refuses, and the private names of Ray."""

import ast
import importlib
import inspect
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import PACKAGE
from gymnasium import spaces
from kit.task import Task
from kit.vectorization.settings import Vectorization
from test_kit_policy import CHOSEN, MODEL_CONFIG, PAIRS, SEEN, batch_of

torch = pytest.importorskip("torch")
rl_module = pytest.importorskip("kit.rllib.rl_module")
learner = pytest.importorskip("kit.rllib.learner")
algorithm_config = pytest.importorskip("kit.rllib.config").algorithm_config
normalization = pytest.importorskip("kit.policy.normalization")


def actor_critic(observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> Any:
    """Builds the networks for two spaces as the policy sees them."""
    torch.manual_seed(0)
    return rl_module.ActorCritic(
        observation_space=observation_space, action_space=action_space, model_config=MODEL_CONFIG
    )


def disturbed(seen: str, chosen: str) -> tuple[Any, Any]:
    """Returns networks whose outputs differ, and observations for them."""
    module = actor_critic(SEEN[seen], CHOSEN[chosen])
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return module, batch_of(SEEN[seen], 64)


# The networks


@pytest.mark.parametrize(("seen", "chosen"), PAIRS)
def test_most_likely_action_is_rllibs_own(seen: str, chosen: str) -> None:
    module, observations = disturbed(seen, chosen)
    if seen == "mask":
        observations["action_mask"][:, 2] = 1  # an episode goes on only where something is allowed
    outputs = module.forward_inference({"obs": observations})["action_dist_inputs"]
    distribution = module.get_inference_action_dist_cls().from_logits(outputs)
    theirs, ours = distribution.to_deterministic().sample(), module.actor.most_likely(module.actor(observations))
    for our, their in zip(*((each if isinstance(each, tuple) else (each,)) for each in (ours, theirs)), strict=True):
        assert our.dtype == their.dtype
        assert torch.equal(our, their)
    if (seen, chosen) == ("mask", "Discrete"):
        assert observations["action_mask"].gather(1, ours[:, None]).all()


@pytest.mark.parametrize(("seen", "chosen"), PAIRS)
def test_probabilities_and_entropies_are_rllibs_own(seen: str, chosen: str) -> None:
    module, observations = disturbed(seen, chosen)
    if seen == "mask":
        observations["action_mask"][:, ::2] = 1  # each choice has a value that is allowed
    outputs = module.actor(observations)
    distribution = module.get_train_action_dist_cls().from_logits(outputs)
    actions = module.actor.draw(outputs.detach(), torch.default_generator)
    torch.testing.assert_close(module.actor.log_probability(outputs, actions), distribution.logp(actions))
    torch.testing.assert_close(module.actor.entropy(outputs), distribution.entropy())


def test_actions_are_drawn_with_their_probabilities() -> None:
    module = actor_critic(spaces.Box(-1, 1, (3,)), spaces.Tuple([spaces.MultiDiscrete([3]), spaces.Box(-1, 1, (1,))]))
    outputs = torch.tensor([[0.0, 1.0, -1e9, 2.0, -1.0]]).repeat(40_000, 1)  # three logits, a mean and its log_std
    choices, reals = module.actor.draw(outputs, torch.Generator().manual_seed(0))
    shares = torch.bincount(choices[:, 0], minlength=3) / len(choices)
    torch.testing.assert_close(shares, torch.tensor([0.0, 1.0, -1e9]).softmax(-1), atol=0.01, rtol=0)
    assert shares[2] == 0
    torch.testing.assert_close(reals.mean(), torch.tensor(2.0), atol=0.01, rtol=0)
    torch.testing.assert_close(reals.std(), torch.tensor(-1.0).exp(), atol=0.01, rtol=0)


@pytest.mark.parametrize("shape", [(4,), (5, 5, 1), (8, 6, 3), (10, 10, 3), (49, 50, 1), (84, 84, 4), (100, 200, 3)])
def test_networks_fit_every_size(shape: tuple[int, ...]) -> None:
    module = actor_critic(spaces.Box(0, 1, shape, np.float32), spaces.Discrete(3))
    batch = {"obs": torch.rand(2, *shape)}
    logits = module.forward_exploration(batch)["action_dist_inputs"]
    assert logits.shape == (2, 3)
    assert (torch.softmax(logits, dim=-1) - 1 / 3).abs().max() < 0.05, "the first policy is not close to even"
    assert module.compute_values(batch).shape == (2,)


def test_networks_share_nothing() -> None:
    module = actor_critic(spaces.Box(-1, 1, (4,)), spaces.Box(-1, 1, (2,)))
    module.compute_values({"obs": torch.rand(8, 4)}).sum().backward()
    assert all(parameter.grad is None for parameter in module.actor.parameters())
    first = module.actor.policy.layers[0].weight
    torch.testing.assert_close(first.T @ first, 2 * torch.eye(4))


def test_networks_of_several_parts() -> None:
    image, vector = spaces.Box(0, 1, (8, 8, 3), np.float32), spaces.Box(-1, 1, (4,), np.float32)
    for parts in ({"image_0": image, "vector": vector}, {"image_0": image, "image_1": image}):
        module = actor_critic(spaces.Dict(dict(parts)), spaces.MultiDiscrete([2, 3]))
        batch = {name: torch.rand(2, *space.shape).requires_grad_() for name, space in parts.items()}
        module.forward_train({"obs": batch})["action_dist_inputs"].pow(2).sum().backward()
        assert all(part.grad.abs().sum() > 0 for part in batch.values()), "a part of the observation is not seen"


def test_forbidden_actions_have_no_probability_whatever_the_weights() -> None:
    space = spaces.Dict({"action_mask": spaces.MultiBinary(4), "vector": spaces.Box(-1, 1, (3,))})
    module = actor_critic(space, spaces.Discrete(4))
    for parameter in module.actor.parameters():
        parameter.data *= 1000
    mask = torch.tensor([[0, 1, 1, 0]] * 256, dtype=torch.int8)
    batch = {"obs": {"action_mask": mask, "vector": torch.randn(256, 3)}}
    distribution = module.get_exploration_action_dist_cls().from_logits(
        module.forward_train(batch)["action_dist_inputs"]
    )
    assert set(distribution.sample().tolist()) <= {1, 2}
    assert set(distribution.to_deterministic().sample().tolist()) <= {1, 2}
    (distribution.entropy() + distribution.logp(torch.ones(256))).sum().backward()
    gradients = [parameter.grad for parameter in module.actor.policy.parameters()]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_observation_that_is_no_number_is_an_error_that_says_where() -> None:
    module = actor_critic(spaces.Box(-1, 1, (4,)), spaces.Discrete(2))
    observations = torch.zeros(3, 4)
    observations[1, 2] = torch.nan
    for forward in (module.forward_exploration, module.forward_inference, module.compute_values):
        with pytest.raises(ValueError, match=r"the observation of copy 1 is nan at index \[2\]"):
            forward({"obs": observations})
    module.actor.policy.layers[0].weight.data[:] = torch.nan
    with pytest.raises(ValueError, match="the network's own weights are no longer finite"):
        module.forward_exploration({"obs": torch.zeros(3, 4)})


# Settings of the learner


def config(**training: Any) -> Any:
    """Returns a configuration of PPO as ppo.py makes it, but for `training`."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    numbers = {"kl_target": 0.01, "use_kl_loss": False, "vf_clip_param": float("inf"), "minibatch_size": None}
    spec = RLModuleSpec(module_class=rl_module.ActorCritic)
    return PPOConfig().rl_module(rl_module_spec=spec).training(**(numbers | training))


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"use_kl_loss": True}, "use_kl_loss=True has no effect with this learner: write use_kl_loss=False"),
        ({"kl_coeff": 0.5}, "kl_coeff=0.5 has no effect"),
        ({"use_critic": False}, "use_critic=False has no effect"),
        ({"use_gae": False}, "use_gae=False has no effect"),
        ({"shuffle_batch_per_epoch": False}, "shuffle_batch_per_epoch=False has no effect"),
        ({"grad_clip_by": "value"}, "grad_clip_by='value' has no effect with this learner: write \"global_norm\""),
        ({"lr": [[0, 1e-3], [100, 1e-4]]}, "write one number, or kl_target=0.0 to keep to a schedule"),
    ],
)
def test_setting_without_effect_is_refused(training: dict[str, Any], message: str) -> None:
    line = learner.unsupported(config(**training))
    assert message in line and "\n" not in line
    with pytest.raises(learner.RunError, match=re.escape(message)):
        build(config(**training))


def test_networks_that_can_not_be_saved_are_refused() -> None:
    from ray.rllib.algorithms.ppo import PPOConfig

    assert "only the kit's own networks can be saved" in learner.unsupported(PPOConfig())


def test_learners_that_can_not_be_are_refused() -> None:
    line = learner.unsupported(config().learners(num_gpus_per_learner=2))
    assert (
        line == "num_gpus_per_learner=2 has no effect with this learner: write 1; more GPUs take as many num_learners"
    )
    agents = config().multi_agent(policies={"one", "other"}, policy_mapping_fn=lambda agent, episode: agent)
    assert learner.unsupported(agents.learners(num_learners=1)) is None
    assert "num_learners=2, but several agents are learnt by at most one" in learner.unsupported(
        agents.learners(num_learners=2)
    )


@pytest.mark.parametrize("learners", [(0, 1), (1, 0), (2, 0), (4, 0.5)])
def test_learners_and_their_gpus_are_not_refused(learners: tuple[int, float]) -> None:
    names = ("num_learners", "num_gpus_per_learner")
    assert learner.unsupported(config().learners(**dict(zip(names, learners, strict=True)))) is None


@pytest.mark.parametrize("training", [{}, {"kl_coeff": 0.0}, {"vf_clip_param": 10.0}, {"grad_clip": 0.5}])
def test_what_has_an_effect_is_not_refused(training: dict[str, Any]) -> None:
    assert learner.unsupported(config(**training)) is None


class Meeting:
    """Sums up what learners in threads hand over, as torch.distributed does for processes."""

    def __init__(self, learners: int) -> None:
        self._barrier, self._handed = threading.Barrier(learners, timeout=60), dict[int, Any]()

    def total(self, values: Any) -> Any:
        """Returns the sum over all learners."""
        self._handed[threading.get_ident()] = values.clone()
        self._barrier.wait()
        result = sum(self._handed[thread] for thread in sorted(self._handed))
        self._barrier.wait()
        return result


def test_learners_that_share_a_batch_learn_what_one_learns_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unequal shares of observations and returns; gradients are averages, as over equal shares."""

    def learnt(built: Any, rows: slice = slice(None)) -> dict[str, Any]:
        built.module["default_policy"].unwrapped().actor.observe(seen[rows])
        for env_steps in (64, 128):
            update(built, env_steps, rows=rows, offset=1000.0)
        return built.module["default_policy"].get_state() | {"lr": step_size(built)}

    seen = torch.rand(100, 4, generator=torch.Generator().manual_seed(1)) ** 2 + 1000.0
    alone, *couple = (build(config(grad_clip=0.1).learners(num_learners=number)) for number in (0, 2, 2))
    expected, meeting = learnt(alone), Meeting(2)
    for module in (learner, normalization):
        monkeypatch.setattr(module, "total", meeting.total)
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(learnt, couple, (slice(0, 32), slice(32, None))))
    for name, value in expected.items():
        np.testing.assert_array_equal(both[0][name], both[1][name], err_msg=name)
        np.testing.assert_allclose(both[0][name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert expected["actor.observation_statistics.vector.count"] == 100


class Painter(gym.Env[Any, Any]):
    """Shows images, or numbers."""

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        large = spaces.Box(0, 255, (17, 17, 1), np.uint8)
        self.observation_space = {**SEEN, "large": large}[config["seen"]]
        self.action_space = CHOSEN[config.get("chosen", "Discrete")]


@pytest.mark.parametrize(
    ("seen", "chosen", "passes", "entropy"),
    [
        *[("vector", "Discrete", 10, 0.005), ("vector", "Box", 10, 0.0), ("vector", "mixed", 10, 0.0)],
        *[(seen, "Discrete", 4, 0.01) for seen in ("image", "image and vector", "large")],
        ("image", "Box", 4, 0.01),
    ],
)
def test_numbers_are_chosen_from_the_spaces(seen: str, chosen: str, passes: int, entropy: float) -> None:
    task = Task("kit_rllib/Painter-v0", Painter, None, None, "ppo:ppo_config")
    task.register()
    made = algorithm_config(task, Vectorization(0, 1, "sync"), 0, {"seen": seen, "chosen": chosen})
    assert (made.num_epochs, made.entropy_coeff) == (passes, entropy)
    assert made.kl_target == (0.01 if chosen == "Discrete" else 0.02)
    made = algorithm_config(task, Vectorization(0, 1, "sync"), 0, changed={"num_epochs": 7}, policies=())
    assert made.num_epochs == 7


def test_adam_remembers_a_hundred_minibatches() -> None:
    """Not a thousand: after returns of -1,000, those of -10 would be learnt some 25 batches later."""
    built = build(config())
    assert built.get_optimizer("default_policy").param_groups[0]["betas"] == (0.9, 0.99)


def build(made: Any) -> Any:
    """Builds a learner without Ray, for four numbers and two actions."""
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    torch.manual_seed(0)
    built = learner.PPOLearner(
        config=made,
        module_spec=RLModuleSpec(
            module_class=rl_module.ActorCritic,
            observation_space=spaces.Box(-1, 1, (4,), np.float32),
            action_space=spaces.Discrete(2),
            model_config=MODEL_CONFIG,
        ),
    )
    built.build()
    return built


def update(built: Any, env_steps: int, size: int = 64, rows: slice = slice(None), offset: float = 0.0) -> Any:
    """Learns once from the same random batch, or rows of it; returns RLlib's metrics."""
    from ray.rllib.core.learner.training_data import TrainingData
    from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch

    generator = torch.Generator().manual_seed(3)
    columns = {
        "obs": torch.rand(size, 4, generator=generator) + offset,
        "actions": torch.randint(0, 2, (size,), generator=generator),
        "action_logp": torch.full((size,), -0.7),
        "advantages": torch.randn(size, generator=generator),
        "value_targets": torch.randn(size, generator=generator),
    }
    columns = {name: column[rows] for name, column in columns.items()}
    batch = MultiAgentBatch({"default_policy": SampleBatch(columns)}, env_steps=len(columns["obs"]))
    timesteps = {"num_env_steps_sampled_lifetime": env_steps}
    return built.update(training_data=TrainingData(batch=batch), timesteps=timesteps)["default_policy"]


def step_size(built: Any) -> float:
    """Returns Adam's."""
    return built.get_optimizer("default_policy").param_groups[0]["lr"]


def test_schedule_of_the_step_size_is_kept_to_without_kl_target() -> None:
    built = build(config(kl_target=0.0, lr=[[0, 1e-3], [1000, 1e-4]]))
    assert step_size(built) == pytest.approx(1e-3)
    update(built, env_steps=1000)
    assert step_size(built) == pytest.approx(1e-4)


def test_step_size_follows_kl_target_and_nothing_else() -> None:
    steered, fixed = build(config(lr=1e-3)), build(config(lr=1e-3, kl_target=0.0))
    update(steered, env_steps=64)
    update(fixed, env_steps=64)
    assert step_size(steered) == pytest.approx(1.5e-3)  # the first minibatch has moved nothing yet
    assert step_size(fixed) == pytest.approx(1e-3)


def test_step_size_stays_within_its_range_of_lr() -> None:
    built = build(config(lr=3e-4))
    assert built._step_size(2e-3, kl=0.0) == pytest.approx(2.1e-3)
    assert built._step_size(1.1e-5, kl=1.0) == pytest.approx(1e-5)


def test_schedule_of_the_entropy_is_kept_to() -> None:
    built = build(config(entropy_coeff=[[0, 0.0], [1000, 0.5]]))
    losses = [float(update(built, env_steps)["total_loss"].peek()) for env_steps in (1000, 1000)]
    assert losses[1] < losses[0] - 0.3  # 0.5 times the entropy of two even actions, from the second update on


def test_error_of_values_is_clipped_where_it_is_asked_for() -> None:
    whole, clipped = (float(update(build(config(vf_clip_param=most)), 64)["vf_loss"].peek()) for most in (np.inf, 0.1))
    assert 0 < clipped <= 0.1 / 0.5 < whole


# Private names of Ray: the module, or the class in it, and what kit/rllib uses of it

PRIVATE_NAMES = {
    "ray.experimental.internal_kv": "_internal_kv_put _internal_kv_get _internal_kv_del",
    "ray.rllib.algorithms.algorithm_config:AlgorithmConfig": "_env_to_module_connector _module_to_env_connector",
    "ray.rllib.env.single_agent_env_runner:SingleAgentEnvRunner": (
        "_cached_to_module _callbacks _done_episodes_for_metrics _increase_sampled_metrics _log_env_steps "
        "_log_episode_metrics "
        "_make_on_episode_callback _metrics_num_env_steps_sampled _needs_initial_reset _new_episode "
        "_ongoing_episodes _ongoing_episodes_for_metrics _reset_envs_and_episodes _sample _seed"
    ),
    "ray.rllib.algorithms.ppo.torch.ppo_torch_learner:PPOTorchLearner": "_learner_connector _make_modules_ddp_if_necessary _update",
    "ray.tune.registry": "_global_registry",
    "ray.rllib.core.models.catalog:Catalog": "_get_dist_cls_from_action_space",
    "ray.rllib.core.rl_module.torch:TorchRLModule": "_forward _forward_train",
}


def test_installed_ray_has_the_private_names() -> None:
    missing = []
    for place, names in PRIVATE_NAMES.items():
        module, _, owner = place.partition(":")
        found = importlib.import_module(module)
        text = inspect.getsource(found) if not owner else source_of(getattr(found, owner))
        missing += [f"{place}.{name}" for name in names.split() if not re.search(rf"\b{name}\b", text)]
    assert not missing, f"this Ray has no {', '.join(missing)}"


def source_of(owner: type) -> str:
    """Returns the source of a class and of all that it inherits from; attributes are set in its methods."""
    return "".join(inspect.getsource(base) for base in owner.__mro__ if base.__module__.startswith("ray."))


def test_private_names_are_used_in_one_room_and_listed() -> None:
    listed = set(" ".join(PRIVATE_NAMES.values()).split())
    used: set[str] = set()
    for path in (PACKAGE / "kit").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree))
        if not any("ray" in str(name).split(".") for name in imported(nodes)):
            continue
        own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        own |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
        own |= {
            node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        names = {node.attr for node in nodes if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
        strange = {name for name in names if not name.startswith("__")} - own
        assert path.parent.name == "rllib" or not strange, f"{path} uses {strange}"
        if path.parent.name == "rllib":
            used |= strange
    assert used <= listed, f"not listed: {used - listed}"


def imported(nodes: list[ast.AST]) -> list[str | None]:
    """Returns the modules that a module imports."""
    imports = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return imports + [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
