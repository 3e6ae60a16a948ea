"""Five environments that anyone can install, each broken one rule at a time; importing this registers all with Gymnasium.

`CartPole/RewardNaN-v0` is CartPole-v1 with the mistake of that class, `CartPole/Unbroken-v0` is made in the same way
without one.
"""

from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401  registers MiniGrid
import mistakes_in_behaviour
import mistakes_in_values
from gymnasium.envs.registration import load_env_creator
from unbroken import Unbroken

MODELS = {
    "CartPole": "CartPole-v1",
    "Pendulum": "Pendulum-v1",
    "Taxi": "Taxi-v3",
    "DoorKey": "MiniGrid-DoorKey-5x5-v0",
    "Hopper": "Hopper-v5",
}
KINDS: list[type[Unbroken]] = [Unbroken]
KINDS += [
    made
    for module in (mistakes_in_values, mistakes_in_behaviour)
    for made in vars(module).values()
    if isinstance(made, type) and made.__module__ == module.__name__
]
# The name of the model and the mistake of each mutant, by ID; each model's unbroken one first.
MUTANTS: dict[str, tuple[str, type[Unbroken]]] = {}
for _name, _model in MODELS.items():
    for _mistake in KINDS:
        if _name not in _mistake.not_in:
            MUTANTS[f"{_name}/{_mistake.__name__}-v0"] = (_name, _mistake)
for _mutant, (_name, _mistake) in MUTANTS.items():
    _spec = gym.spec(MODELS[_name])
    _creator: Any = load_env_creator(str(_spec.entry_point))
    _own = {"model": MODELS[_name], "limit": _spec.max_episode_steps, "metadata": _creator.metadata}
    _made: Any = type(_mistake.__name__, (_mistake,), {**_own, "__module__": __name__})
    gym.register(_mutant, entry_point=_made)
