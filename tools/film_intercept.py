"""Makes docs/intercept.gif again, in some minutes: the starter `intercept`, learnt from pixels.

How to run: `make test` once, then `.venv/bin/python tools/film_intercept.py`.
"""

import sys
import tempfile
from pathlib import Path

TEMPLATE = Path(__file__).parents[1]
sys.path.insert(0, str(TEMPLATE / "tests"))

from conftest import bake_project  # noqa: E402

GIF = TEMPLATE / "docs" / "intercept.gif"
# On the left what a person sees, on the right what the policy sees; each chase ends with a moment of rest.
FILM = """
import sys
import gymnasium as gym
import numpy as np
from intercept_demo import ENV_ID, load_policy
from PIL import Image

env, policy, frames = gym.make(ENV_ID, config={"pixels": True}, render_mode="rgb_array"), load_policy("pixels"), []

def film(observation):
    seen = Image.fromarray(observation[..., 3:]).resize((240, 240), Image.Resampling.NEAREST)
    shown = Image.fromarray(env.render()).resize((240, 240), Image.Resampling.LANCZOS)
    frames.append(Image.fromarray(np.hstack([shown, np.full((240, 8, 3), 255, np.uint8), seen])))
    frames[-1] = frames[-1].quantize(16, palette=frames[0] if frames[1:] else None, dither=Image.Dither.NONE)

for seed in range(4):
    observation, _ = env.reset(seed=seed)
    film(observation)
    terminated = truncated = False
    while not (terminated or truncated):
        observation, _, terminated, truncated, _ = env.step(policy(observation))
        film(observation)
    frames += 5 * frames[-1:]
frames[0].save(sys.argv[1], save_all=True, append_images=frames[1:], duration=70, loop=0)
"""

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        project = bake_project(Path(folder), project_name="Intercept Demo", starter="intercept").install()
        config = '{"pixels": true}'
        print(project.command("train", "--name", "pixels", "--seed", "0", "--config", config, check=True).stdout)
        project.run("-c", FILM, str(GIF), check=True)
    print(f"{GIF}: {GIF.stat().st_size:,} bytes")
