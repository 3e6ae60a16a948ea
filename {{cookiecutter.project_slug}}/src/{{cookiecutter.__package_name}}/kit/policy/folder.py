"""A trained policy as a folder of data, which runs nothing when it is loaded: policy.json and policy.safetensors.

policy.json says what the policy is of (`env_id`, `spaces`, `env_config`), how its networks are built (`model_config`),
where it comes from (`run`, `versions`) and how far it was trained. The weights and statistics are tensors.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from safetensors.torch import load, save

from ..errors import RunError, UsageError, one_line
from ..files import read_json, write_json
from ..task import Task
from .find import FACTS, WEIGHTS
from .networks import Actor, require_finite
from .space_json import from_json, to_json

FORMAT = 1  # of the folder
_MOST_TEXT = 200  # characters of a message that come from elsewhere
_NEEDED = {"env_id", "spaces", "env_config", "model_config", "versions"}


class Policy:
    """A trained policy: observation in, greedy action out, both as the adapted environment has them.

    Attributes:
        actor: networks and statistics, a torch module that can be exported or called with batches.
        facts: what policy.json holds.
    """

    def __init__(self, actor: Actor, facts: Mapping[str, Any]) -> None:
        self.actor, self.facts = actor.eval(), facts

    def act(self, observation: Any) -> Any:
        """Returns the most likely action for one observation; raises ValueError if that holds NaN."""
        parts = observation if isinstance(observation, dict) else {"": observation}
        tensors: Any = {name: torch.from_numpy(part[None]) for name, part in parts.items()}
        batch = tensors if isinstance(observation, dict) else tensors[""]
        with torch.inference_mode():
            action = self.actor.most_likely(require_finite(self.actor(batch), batch))
        return tuple(part[0].numpy() for part in action) if isinstance(action, tuple) else action[0].numpy()


def spaces_of(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """Returns the spaces of an adapted environment as JSON: its own as text, and those that the networks see."""
    own = {"observation": env.unwrapped.observation_space, "action": env.unwrapped.action_space}
    adapted = {"observation": env.observation_space, "action": env.action_space}
    text = {name: re.sub(r" at 0x[0-9a-f]+", "", str(space)) for name, space in own.items()}
    return {name: {"environment": text[name], "policy": to_json(adapted[name])} for name in own}


def save_policy(folder: Path, actor: Actor, facts: Mapping[str, Any]) -> None:
    """Writes a policy into a folder, which is made here.

    Args:
        folder: of the policy.
        actor: what was trained.
        facts: JSON values: env_id, spaces (see `spaces_of`), env_config, versions, run, and how far it was trained.
    """
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(
        save({name: tensor.contiguous().cpu() for name, tensor in actor.state_dict().items()})
    )
    write_json(folder / FACTS, {"format": FORMAT, **facts, "model_config": actor.model_config})


def read_facts(folder: Path, env_id: str, spaces: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what policy.json holds.

    Args:
        folder: of the policy.
        env_id: the environment that it is to be used for.
        spaces: of that environment, see `spaces_of`.

    Raises:
        UsageError: it can't be read, or is of another version, another environment or other spaces.
    """
    facts = read_json(folder / FACTS)
    if facts.get("format") != FORMAT:
        raise UsageError(
            f"{folder} has format {facts.get('format')!r}, this version of the kit reads {FORMAT}: "
            "use the version that made it, or train the policy again"
        )
    if missing := sorted(_NEEDED - facts.keys()):
        raise UsageError(f"{folder / FACTS} is not what train writes: it has no {missing[0]!r}")
    if facts["env_id"] != env_id:
        raise UsageError(f"{folder} is a policy for {facts['env_id']}, not for {env_id}")
    for name, now in spaces.items():
        then = facts["spaces"].get(name)
        if then != now:
            raise UsageError(
                f"{folder} was trained with the {name} space {str(then)[:_MOST_TEXT]}, but the environment now has "
                f"{str(now)[:_MOST_TEXT]}; train it anew"
            )
    return facts


def load_policy(folder: Path, env_id: str, spaces: Mapping[str, Any]) -> Policy:
    """Loads the policy of a folder that `find_policy` has returned.

    Raises:
        UsageError: it is damaged, or as of `read_facts`.
    """
    facts = read_facts(folder, env_id, spaces)
    try:
        seen, chosen = (from_json(facts["spaces"][name]["policy"]) for name in ("observation", "action"))
        with torch.device("meta"):  # no numbers yet: they come from the file
            actor = Actor(seen, chosen, facts["model_config"])
        weights = {name: tensor.float() for name, tensor in load((folder / WEIGHTS).read_bytes()).items()}
        if not all(tensor.isfinite().all() for tensor in weights.values()):
            raise ValueError("weights that are not finite")
        actor.load_state_dict(weights, assign=True)
    except Exception as error:  # anyone may have written the files
        what = f"{type(error).__name__}: {error}".split()
        raise UsageError(f"{folder} is damaged: {' '.join(what)[:_MOST_TEXT]}; made with {facts['versions']}") from None
    return Policy(actor, facts)


def load_with_env(
    task: Task, folder: Path, config: Mapping[str, Any] | None, render_mode: str | None = None
) -> tuple[Policy, gym.Env[Any, Any]]:
    """Loads a policy, and makes the environment that it acts in; without a `config`, the one that it was trained in.

    Raises:
        UsageError: as of `load_policy`.
        RunError: the environment can't be made.
    """
    config = read_facts(folder, task.env_id, {})["env_config"] if config is None else config
    try:
        env = task.make_adapted(config, render_mode)
    except Exception as error:
        raise RunError(f"the environment can't be made with the config {config}: {one_line(error)}") from None
    return load_policy(folder, task.env_id, spaces_of(env)), env
