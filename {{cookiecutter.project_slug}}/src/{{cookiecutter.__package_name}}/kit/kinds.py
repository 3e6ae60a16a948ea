"""What kinds of environments there are, told by their class without importing what only some of them need."""

from typing import Any


def is_multi_agent(env_class: type[Any]) -> bool:
    """Tells whether a class is for several agents: derived from the kit's `MultiAgentEnv` or from RLlib's."""
    return any(base.__name__ == "MultiAgentEnv" for base in env_class.__mro__)
