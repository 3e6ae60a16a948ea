"""A trained policy in the spaces of its environment, and a random one beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from ..spaces import ACTION_MASK, Adapters, random_choice, require_allowed
from ..spaces.membership import problems
from ..spaces.predicate import predicate, without_float_bounds
from .actor import Actor
from .space_json import from_json


class Policy:
    """A trained policy: observations in, actions out, both as the environment itself has them.

    Attributes:
        observation_space: the environment's own.
        action_space: likewise.
        adapters: what stands between these and the networks.
        actor: networks and statistics, a torch module.
        facts: what policy.json holds: where the policy comes from, and how far it was trained.
    """

    def __init__(self, actor: Actor, adapters: Adapters, facts: Mapping[str, Any]) -> None:
        self.actor, self.adapters, self.facts = actor.eval(), adapters, facts
        self.observation_space, self.action_space = (from_json(facts["spaces"][x]) for x in ("observation", "action"))
        self._anywhere = without_float_bounds(self.observation_space)  # normalised, floats may leave their bounds
        self._is_inside = predicate(self._anywhere)
        self._batches = batch_space(self.observation_space)
        self._generator = torch.Generator()

    def __call__(self, observation: Any, deterministic: bool = True) -> Any:
        """Returns the action for one observation.

        Args:
            observation: of the environment's `observation_space`; floats may leave their bounds.
            deterministic: the most likely action; otherwise one drawn as in training.

        Raises:
            ValueError: the observation is not in its space, or its mask allows no action.
        """
        return self._act([observation], deterministic)[0]

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
            return self._act(observations, deterministic)
        actions = self._act(list(iterate(self._batches, observations)), deterministic)
        return concatenate(self.action_space, actions, create_empty_array(self.action_space, len(actions)))

    def reset(self, seed: int | None = None) -> None:
        """Begins an episode. These networks have nothing to forget; a seed makes what they draw repeatable."""
        if seed is not None:
            self._generator.manual_seed(seed)

    def _act(self, observations: Sequence[Any], deterministic: bool) -> list[Any]:
        for observation in observations:
            if not self._is_inside(observation):
                for problem in problems(self._anywhere, observation):
                    raise ValueError(f"{problem.message}; {problem.fix}")
        seen = [self.adapters.encode(observation) for observation in observations]
        if is_dict := isinstance(seen[0], dict):
            batch: Any = {name: torch.from_numpy(np.stack([one[name] for one in seen])) for name in seen[0]}
        else:
            batch = torch.from_numpy(np.stack(seen))
        with torch.inference_mode():
            outputs = self.actor(batch)
            chosen = self.actor.most_likely(outputs) if deterministic else self.actor.draw(outputs, self._generator)
        parts = chosen if isinstance(chosen, tuple) else (chosen,)
        rows = list(zip(*(part.numpy() for part in parts), strict=True))
        choices = rows if isinstance(chosen, tuple) else [row[0] for row in rows]
        if is_dict and ACTION_MASK in seen[0]:
            for one, choice in zip(seen, choices, strict=True):
                require_allowed(self.adapters.chosen, one[ACTION_MASK], choice)
        return [self.adapters.decode(choice) for choice in choices]


class RandomPolicy:
    """Draws allowed actions, called as a Policy is."""

    def __init__(self, adapters: Adapters) -> None:
        self.adapters = adapters

    def __call__(self, observation: Any) -> Any:
        """Returns an action of the environment for one observation."""
        return self.adapters.decode(random_choice(self.adapters.chosen, self.adapters.encode(observation)))

    def reset(self, seed: int | None = None) -> None:
        """Begins an episode; a seed makes it repeatable."""
        if seed is not None:
            self.adapters.chosen.seed(seed)
