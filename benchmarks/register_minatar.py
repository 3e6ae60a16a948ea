"""Makes MinAtar's games known to Gymnasium, which importing `minatar` alone does not."""

from minatar.gym import register_envs

register_envs()
