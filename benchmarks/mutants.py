"""Five environments that anyone can install, each broken one rule at a time; importing this registers all with Gymnasium.

`CartPole/RewardNaN-v0` is CartPole-v1 with the mistake of that class, `CartPole/Unbroken-v0` is made in the same way
without one. A library is imported when an environment of it is made.
"""

import importlib
from functools import cache, partial
from typing import Any

import gymnasium as gym
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


@cache
def mutant_class(mutant: str) -> Any:
    """Returns the class of a model with a mistake."""
    name, kind = MUTANTS[mutant]
    if name == "DoorKey":
        importlib.import_module("minigrid")  # registers it
    spec = gym.spec(MODELS[name])
    creator: Any = load_env_creator(str(spec.entry_point))
    own = {"model": MODELS[name], "limit": spec.max_episode_steps, "metadata": creator.metadata}
    return type(kind.__name__, (kind,), {**own, "__module__": __name__})


def make(mutant: str, render_mode: str | None = None) -> Unbroken:
    """Returns a mutant."""
    return mutant_class(mutant)(render_mode=render_mode)


for _name in MODELS:
    for _kind in KINDS:
        if _name not in _kind.not_in:
            MUTANTS[f"{_name}/{_kind.__name__}-v0"] = (_name, _kind)
for _mutant in MUTANTS:
    gym.register(_mutant, entry_point=partial(make, _mutant))
