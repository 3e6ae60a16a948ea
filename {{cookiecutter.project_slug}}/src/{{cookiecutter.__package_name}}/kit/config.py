"""Reads the `config` that an environment is made with into the environment's own dataclass."""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, TypeVar

Config = TypeVar("Config")


class ConfigError(ValueError):
    """The config has a key that the environment doesn't know."""


def read_config(config_class: type[Config], config: Mapping[str, Any] | None) -> Config:
    """Makes a `config_class` from None, a dict or RLlib's EnvContext (a dict with attributes such as `worker_index`).

    A field that `config` holds neither as a key nor as an attribute keeps its default. So a field
    `worker_index: int = 0` is each env runner's own number in training, and 0 outside of it.

    Raises:
        ValueError: `config` is no mapping.
        ConfigError: it has a key that `config_class` does not declare.
    """
    if config is None:
        config = {}
    if not isinstance(config, Mapping):
        raise ValueError(f"config must be a dict or None, got {type(config).__name__}: {config!r}")
    known = [field.name for field in fields(config_class)]  # type: ignore[arg-type]
    for key in config:
        if key not in known:
            from .cli import did_you_mean  # late: only a wrong key needs it

            raise ConfigError(f"unknown key {key!r} in config; {did_you_mean(str(key), known)}")
    attributes = {name: value for name, value in getattr(config, "__dict__", {}).items() if name in known}
    return config_class(**(attributes | dict(config)))


def config_of(env: Any) -> dict[str, Any]:
    """Returns all fields of an environment's `config`, if that is a dataclass."""
    config = getattr(env.unwrapped, "config", None)
    return asdict(config) if is_dataclass(config) and not isinstance(config, type) else {}
