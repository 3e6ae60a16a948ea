"""kit.config: what an environment's settings are read from, and what is refused."""

from dataclasses import dataclass
from typing import Any

import pytest
from kit.config import read_config


@dataclass(frozen=True)
class Config:
    """Two settings."""

    worker_index: int = 0
    items: int = 3  # also the name of a method of every dict


class Context(dict[str, Any]):
    """Stands for RLlib's EnvContext: a dict with attributes."""

    worker_index: int


def test_fields_are_filled_from_a_contexts_attributes() -> None:
    context = Context()
    context.worker_index = 5
    assert read_config(Config, context) == Config(worker_index=5, items=3)
    assert read_config(Config, Context(worker_index=1)) == Config(worker_index=1)


@pytest.mark.parametrize("config", [None, {}, Context()])
def test_none_dict_and_context_mean_the_defaults(config: Any) -> None:
    assert read_config(Config, config) == Config()


def test_misspelt_key_is_refused_with_the_right_one() -> None:
    with pytest.raises(ValueError, match="unknown key 'item' in config; did you mean 'items'?"):
        read_config(Config, {"item": 3})


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a dict or None, got list"):
        read_config(Config, ["items"])  # type: ignore[arg-type]
