"""How fast the environment trains on this machine: what "auto" chooses, and what `benchmark` measures."""
