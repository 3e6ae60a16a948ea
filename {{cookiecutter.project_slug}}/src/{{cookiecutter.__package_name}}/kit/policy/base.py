"""What every policy is, whatever computes its actions: a function from observations to actions of the environment."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from ..spaces.adapters import ACTION_MASK, Adapters, Limits, adapters_for, is_masked, require_choice
from ..spaces.membership import problems
from ..spaces.predicate import predicate, without_float_bounds
from .space_json import from_json


def adapters_of(facts: Mapping[str, Any]) -> Adapters:
    """Returns the adapters for the spaces that a policy was trained in; raises all kinds of exceptions for other facts."""
    own = facts["spaces"]
    return adapters_for(from_json(own["observation"]), from_json(own["action"]), Limits(**own["limits"]))


class BasePolicy:
    """A trained policy: observations in, actions out, both as the environment itself has them.

    Attributes:
        observation_space: the environment's own.
        action_space: likewise.
        adapters: what stands between these and the networks.
        facts: what policy.json holds: where the policy comes from, and how far it was trained.
    """

    def __init__(self, adapters: Adapters, facts: Mapping[str, Any]) -> None:
        self.adapters, self.facts = adapters, facts
        self.observation_space, self.action_space = (from_json(facts["spaces"][x]) for x in ("observation", "action"))
        self._anywhere = without_float_bounds(self.observation_space)  # normalised, floats may leave their bounds
        self._is_inside = predicate(self._anywhere)
        self._is_masked = is_masked(adapters.seen)
        self._batches = batch_space(self.observation_space)

    def __call__(self, observation: Any, deterministic: bool = True) -> Any:
        """Returns the action for one observation.

        Args:
            observation: of the environment's `observation_space`; floats may leave their bounds.
            deterministic: the most likely action; otherwise one drawn as in training.

        Raises:
            ValueError: the observation is not in its space, or its mask allows no action.
        """
        return self._checked([observation], deterministic)[0]

    def batch(self, observations: Any, deterministic: bool = True) -> Any:
        """Returns the actions for many observations, as the copies of a VectorEnv give and take them.

        Args:
            observations: arrays with a first axis more, in a dict or tuple where the space is one; or a plain list of
                observations, for which a list of actions comes back.
            deterministic: as for one.

        Raises:
            ValueError: as for one.
        """
        if isinstance(observations, list):
            return self._checked(observations, deterministic)
        actions = self._checked(list(iterate(self._batches, observations)), deterministic)
        return concatenate(self.action_space, actions, create_empty_array(self.action_space, len(actions)))

    def reset(self, seed: int | None = None) -> None:
        """Begins an episode. These policies have nothing to forget; a seed makes what they draw repeatable."""

    def _checked(self, observations: Sequence[Any], deterministic: bool) -> list[Any]:
        for observation in observations:
            if not self._is_inside(observation):
                for problem in problems(self._anywhere, observation):
                    raise ValueError(f"{problem.message}; {problem.fix}")
            if self._is_masked:
                require_choice(self.adapters.chosen, np.asarray(observation[ACTION_MASK]))
        return self._act(observations, deterministic)

    def _act(self, observations: Sequence[Any], deterministic: bool) -> list[Any]:
        raise NotImplementedError
