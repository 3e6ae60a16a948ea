"""A trained policy as a folder of data: `policy.json` and `policy.safetensors`. Loading it runs nothing of what it holds.

`policy.json` says what the policy is of (`env_id`, `spaces`, `env_config`), how its networks are built (`model_config`),
where it comes from (`run`, `versions`) and how far it was trained; the weights and statistics are tensors.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from safetensors.torch import load_file, save_file

from ..cli import RunError, UsageError, one_line
from ..files import read_json, write_json
from ..task import Task
from .find import FACTS, WEIGHTS
from .networks import Actor, require_finite
from .space_json import from_json, to_json

FORMAT = 1  # of the folder; a change of what the adapters make of a space is another one, too
_NEEDED = {"env_id", "spaces", "env_config", "model_config", "versions"}


class Policy:
    """A trained policy: observation in, greedy action out, both as the adapted environment has them.

    Attributes:
        actor: the networks and statistics, to be exported or called with batches.
        facts: what policy.json holds.
    """

    def __init__(self, actor: Actor, facts: Mapping[str, Any]) -> None:
        self.actor, self.facts = actor.eval(), facts

    def act(self, observation: Any) -> Any:
        """Returns the most likely action for one observation.

        Raises:
            ValueError: the observation holds NaN.
        """
        parts = observation if isinstance(observation, dict) else {"": observation}
        tensors: Any = {name: torch.from_numpy(part[None]) for name, part in parts.items()}
        batch = tensors if isinstance(observation, dict) else tensors[""]
        with torch.inference_mode():
            action = self.actor.most_likely(require_finite(self.actor(batch), batch))
        return tuple(part[0].numpy() for part in action) if isinstance(action, tuple) else action[0].numpy()


def spaces_of(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """Returns the spaces of an adapted environment as JSON: its own as text, and those that the policy sees."""
    pairs = {
        "observation": (env.unwrapped.observation_space, env.observation_space),
        "action": (env.unwrapped.action_space, env.action_space),
    }
    return {
        name: {"environment": re.sub(r" at 0x[0-9a-f]+", "", str(own)), "policy": to_json(adapted)}
        for name, (own, adapted) in pairs.items()
    }


def save_policy(folder: Path, actor: Actor, model_config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Writes a policy into a new folder.

    Args:
        folder: it is made here.
        actor: what has been trained.
        model_config: its `hidden_units` and `image_features`.
        facts: JSON values: env_id, spaces (of `spaces_of`), env_config, run, versions, and how far it was trained.
    """
    folder.mkdir()
    save_file({name: tensor.contiguous().cpu() for name, tensor in actor.state_dict().items()}, folder / WEIGHTS)
    network = {"hidden_units": list(model_config["hidden_units"]), "image_features": model_config["image_features"]}
    write_json(folder / FACTS, {"format": FORMAT, **facts, "model_config": network})


def read_facts(folder: Path) -> dict[str, Any]:
    """Returns what policy.json holds.

    Raises:
        UsageError: it can't be read, or is of another version.
    """
    facts = read_json(folder / FACTS)
    if facts.get("format") != FORMAT:
        raise UsageError(
            f"{folder} has format {facts.get('format')!r}, this version of the kit reads {FORMAT}: "
            "use the version that made it, or train the policy again"
        )
    if missing := sorted(_NEEDED - facts.keys()):
        raise UsageError(f"{folder / FACTS} is not what train writes: it has no {missing[0]!r}")
    return facts


def require_match(folder: Path, facts: Mapping[str, Any], env_id: str, spaces: Mapping[str, Any]) -> None:
    """Raises UsageError unless a policy is of this environment and of these spaces, see `spaces_of`."""
    if facts["env_id"] != env_id:
        raise UsageError(f"{folder} is a policy for {facts['env_id']}, not for {env_id}")
    for name, now in spaces.items():
        if (then := facts["spaces"].get(name)) != now:
            raise UsageError(
                f"{folder} was trained with another {name} space, or one that was encoded otherwise: {then}, but the "
                f"environment now has {now}; train it anew"
            )


def load_policy(folder: Path) -> Policy:
    """Loads the policy of a folder that `find_policy` has returned.

    Raises:
        UsageError: the folder is damaged or of another version.
    """
    facts = read_facts(folder)
    try:
        seen, chosen = (from_json(facts["spaces"][name]["policy"]) for name in ("observation", "action"))
        network = facts["model_config"]
        with torch.device("meta"):  # no numbers yet: they come from the file
            actor = Actor(seen, chosen, network["hidden_units"], network["image_features"])
        weights = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
        actor.load_state_dict(weights, assign=True)
        if not all(tensor.isfinite().all() for tensor in weights.values()):
            raise ValueError("its weights are not finite")
    except Exception as error:  # of a file that anyone may have written
        what = " ".join(f"{type(error).__name__}: {error}".split())[:150]
        raise UsageError(f"{folder} is damaged ({what}); it was made with {facts['versions']}") from None
    return Policy(actor, facts)


def load_with_env(
    task: Task, folder: Path, config: Mapping[str, Any] | None = None, render_mode: str | None = None
) -> tuple[Policy, gym.Env[Any, Any]]:
    """Loads a policy and makes the adapted environment that it acts in.

    Args:
        task: the policy's.
        folder: of the policy.
        config: of the environment; None for the one that the policy was trained with.
        render_mode: of the environment.

    Raises:
        UsageError: the policy is damaged, of another environment or of other spaces.
        RunError: the environment can't be made.
    """
    facts = read_facts(folder)
    require_match(folder, facts, task.env_id, {})
    config = facts["env_config"] if config is None else config
    try:
        env = task.make_adapted(config, render_mode)
    except Exception as error:
        raise RunError(f"the environment can't be made with the config {config}: {one_line(error)}") from None
    require_match(folder, facts, task.env_id, spaces_of(env))
    return load_policy(folder), env
