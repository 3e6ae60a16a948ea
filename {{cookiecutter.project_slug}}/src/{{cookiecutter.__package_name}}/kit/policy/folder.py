"""A trained policy as a folder of data, which runs nothing when it is loaded: policy.json and policy.safetensors.

policy.json says what the policy is of (`env_id`, `spaces`, `env_config`), how its networks are built (`model_config`),
where it comes from (`run`, `versions`) and how far it was trained. The weights and statistics are tensors.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from safetensors.torch import load, save

from ..errors import UsageError
from ..files import read_json, write_json
from ..spaces import limits_of
from .actor import Actor
from .base import adapters_of
from .find import FACTS, WEIGHTS, facts_file
from .policy import Policy
from .space_json import to_json

FORMAT = 3  # of the folder
_MOST_TEXT = 200  # characters of a message that come from elsewhere
_NEEDED = {"env_id", "spaces", "env_config", "versions"}


def spaces_of(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """Returns an environment's own spaces as JSON values, with the limits of those without a fixed size."""
    own = {"observation": env.unwrapped.observation_space, "action": env.unwrapped.action_space}
    return {name: to_json(space) for name, space in own.items()} | {"limits": limits_of(env)._asdict()}


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


def read_facts(folder: Path, env_id: str | None = None, spaces: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns what policy.json holds, or policies.json.

    Args:
        folder: of the policy, or of those of several agents.
        env_id: the environment that it is to be used for; None for any.
        spaces: of that environment, see `spaces_of`; None for any.

    Raises:
        UsageError: it can't be read, or is of another version, another environment or other spaces.
    """
    file = facts_file(folder)
    facts = read_json(file)
    if facts.get("format") != FORMAT:
        raise UsageError(
            f"{folder} has format {facts.get('format')!r}, this version of the kit reads {FORMAT}: "
            "use the version that made it, or train the policy again"
        )
    if missing := sorted((_NEEDED | {"model_config" if file.name == FACTS else "agents"}) - facts.keys()):
        raise UsageError(f"{file} is not what train writes: it has no {missing[0]!r}")
    if env_id not in (None, facts["env_id"]):
        raise UsageError(f"{folder} is a policy for {facts['env_id']}, not for {env_id}")
    for name, now in (spaces or {}).items():
        if (then := facts["spaces"].get(name)) != now:
            raise UsageError(
                f"{folder} was trained with the {name} space {str(then)[:_MOST_TEXT]}, but the environment now has "
                f"{str(now)[:_MOST_TEXT]}; train it anew"
            )
    return facts


def load_folder(folder: Path) -> Policy:
    """Loads the policy of a folder that `find_policy` has returned.

    Raises:
        UsageError: it is damaged, or of another version.
    """
    facts = read_facts(folder)
    try:
        adapters = adapters_of(facts)
        with torch.device("meta"):  # no numbers yet: they come from the file
            actor = Actor(adapters.seen, adapters.chosen, facts["model_config"])
        weights = {name: tensor.float() for name, tensor in load((folder / WEIGHTS).read_bytes()).items()}
        if not all(tensor.isfinite().all() for tensor in weights.values()):
            raise ValueError("weights that are not finite")
        actor.load_state_dict(weights, assign=True)
        return Policy(actor, adapters, facts)
    except Exception as error:  # anyone may have written the files
        what = f"{type(error).__name__}: {error}".split()
        raise UsageError(f"{folder} is damaged: {' '.join(what)[:_MOST_TEXT]}; made with {facts['versions']}") from None
