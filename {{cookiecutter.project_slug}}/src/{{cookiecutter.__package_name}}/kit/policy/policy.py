"""A trained policy in the spaces of its environment, and a random one beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..spaces import Adapters, random_choice
from .actor import Actor
from .base import BasePolicy


class Policy(BasePolicy):
    """The policy of a run, which runs in torch.

    Attributes:
        actor: networks and statistics, a torch module.
    """

    def __init__(self, actor: Actor, adapters: Adapters, facts: Mapping[str, Any]) -> None:
        super().__init__(adapters, facts)
        self.actor = actor.eval()
        self._generator = torch.Generator()
        self._generator.seed()  # else every process would draw the same

    def reset(self, seed: int | None = None) -> None:
        """Begins an episode. These networks have nothing to forget; a seed makes what they draw repeatable."""
        if seed is not None:
            self._generator.manual_seed(seed)

    def outputs(self, observations: Sequence[Any]) -> torch.Tensor:
        """Returns what the networks make of observations, see `Actor.forward`."""
        seen = [self.adapters.encode(observation) for observation in observations]
        with torch.inference_mode():
            if not isinstance(seen[0], dict):
                return self.actor(torch.from_numpy(np.stack(seen)))
            return self.actor({name: torch.from_numpy(np.stack([one[name] for one in seen])) for name in seen[0]})

    def random(self) -> "RandomPolicy":
        """Returns what acts at random in its place."""
        return RandomPolicy(self.adapters)

    def _act(self, observations: Sequence[Any], deterministic: bool) -> list[Any]:
        outputs = self.outputs(observations)
        chosen = self.actor.most_likely(outputs) if deterministic else self.actor.draw(outputs, self._generator)
        parts = chosen if isinstance(chosen, tuple) else (chosen,)
        rows = list(zip(*(part.numpy() for part in parts), strict=True))
        return [self.adapters.decode(row if isinstance(chosen, tuple) else row[0]) for row in rows]


class RandomPolicy:
    """Draws allowed actions, called as a Policy is."""

    def __init__(self, adapters: Adapters) -> None:
        self.adapters = adapters

    def __call__(self, observation: Any) -> Any:
        """Returns an action of the environment for one observation."""
        return self.adapters.decode(random_choice(self.adapters.chosen, self.adapters.encode(observation)))

    def batch(self, observations: Sequence[Any], deterministic: bool = True) -> list[Any]:
        """Returns an action for each observation."""
        return [self(observation) for observation in observations]

    def reset(self, seed: int | None = None) -> None:
        """Begins an episode; a seed makes it repeatable."""
        if seed is not None:
            self.adapters.chosen.seed(seed)
