"""The noise of real actions: standard normal at any one step, in part the same over some steps, and repeatable."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from test_kit_policy import MODEL_CONFIG

torch = pytest.importorskip("torch")
actor = pytest.importorskip("kit.policy.actor")
noise = pytest.importorskip("kit.rllib.noise")
rl_module = pytest.importorskip("kit.rllib.rl_module")
sampling = pytest.importorskip("kit.rllib.sampling")

COPIES = 20_000


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("seen", ["far", "near 0", "dict", "image"])
def test_any_one_step_is_standard_normal(seen: str) -> None:
    vector = torch.tensor([3.0, -7.0, 0.5] if seen == "far" else [0.0, 1e-3, 0.0]).expand(COPIES, 3)
    image = torch.rand(COPIES, 5, 5, 1)
    observation: Any = {"dict": {"image_0": image, "vector": vector}, "image": image}.get(seen, vector)
    drawn = noise.Noise(COPIES, 2, 0 if seen == "image" else 3)
    for _ in range(3):
        sample = drawn.draw(observation)
        assert sample.shape == (COPIES, 2)
        assert torch.allclose(sample.mean(0), torch.zeros(2), atol=0.03)
        assert torch.allclose(torch.cov(sample.T), torch.eye(2), atol=0.05)


@pytest.mark.parametrize(("reals", "deviation"), [(1, 1.0), (8, 0.5)])
def test_each_of_many_numbers_starts_with_less_noise(reals: int, deviation: float) -> None:
    seen, acted = spaces.Box(-1, 1, (4,), np.float32), spaces.Box(-1, 1, (reals,), np.float32)
    made = actor.Actor(seen, acted, MODEL_CONFIG)
    assert made.log_std.exp().tolist() == pytest.approx([deviation] * reals)


def correlation(one: Any, other: Any) -> float:
    """Returns the correlation of the noise of two steps over all copies."""
    return float(torch.corrcoef(torch.stack([one[:, 0], other[:, 0]]))[0, 1])


def test_a_quarter_of_it_stays_for_a_while_as_long_as_the_observation_does() -> None:
    drawn, here = noise.Noise(COPIES, 1, 2), torch.tensor([2.0, 0.0]).expand(COPIES, 2)
    first = drawn.draw(here)
    assert correlation(first, drawn.draw(here)) == pytest.approx(0.25, abs=0.04)
    cosine = (1 - 2 * 2) / (1 + 2 * 2)  # between the two observations, each with a 1 beside it
    assert correlation(first, drawn.draw(-here)) == pytest.approx(0.25 * cosine, abs=0.04)
    for _ in range(64):
        last = drawn.draw(here)
    assert correlation(first, last) == pytest.approx(0.0, abs=0.04)


def test_actions_have_the_probabilities_that_are_said_and_repeat_with_the_seed() -> None:
    chosen = spaces.Tuple((spaces.MultiDiscrete([3]), spaces.Box(-1, 1, (2,), np.float32)))
    module = rl_module.ActorCritic(
        observation_space=spaces.Box(-1, 1, (4,), np.float32), action_space=chosen, model_config=MODEL_CONFIG
    )
    module.actor.log_std.data += torch.tensor([0.5, -1.0])
    observations = np.random.default_rng(0).normal(size=(COPIES, 4)).astype(np.float32)

    def step() -> dict[str, Any]:
        torch.manual_seed(1)
        return sampling.BatchedEnvRunner.act(None, module, observations, True, noise.Noise(COPIES, 2, 4))

    taken = step()
    outputs = torch.from_numpy(taken["action_dist_inputs"])
    distribution = module.get_exploration_action_dist_cls().from_logits(outputs)
    actions = tuple(torch.from_numpy(part) for part in taken["actions"])
    assert np.allclose(taken["action_logp"], distribution.logp(actions), atol=1e-5)
    drawn = (actions[1] - outputs[:, 3:5]) / module.actor.log_std.exp()
    assert torch.allclose(torch.cov(drawn.detach().T), torch.eye(2), atol=0.05)
    again = step()["actions"]
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(taken["actions"], again, strict=True))
