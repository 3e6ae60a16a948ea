"""One configuration learns whatever the scale of rewards and observations, and acts on the same scale afterwards."""

import json
from collections.abc import Callable

import pytest
from conftest import BakedProject

THRESHOLD = 0.1  # of the corridor; the best possible is 0.2


def rescale(project: BakedProject, reward: float, observation: float) -> None:
    """Multiplies the corridor's rewards and observations."""
    file = project.source / "env.py"
    text = file.read_text(encoding="utf-8")
    for old, new in (
        ("return self._observation(), reward,", f"return self._observation(), {reward!r} * reward,"),
        ("spaces.Box(0.0, 1.0, (1,), np.float32)", f"spaces.Box(0.0, {observation!r}, (1,), np.float32)"),
        ("[self._position / self.config.length]", f"[{observation!r} * self._position / self.config.length]"),
    ):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("reward", "observation"), [(1e-3, 1.0), (1e4, 1.0), (1.0, 1e-3), (1.0, 1e4)])
def test_scale_does_not_matter(bake: Callable[..., BakedProject], reward: float, observation: float) -> None:
    project = bake(project_name="Corridor Demo", starter="corridor").install()
    rescale(project, reward, observation)
    threshold = str(THRESHOLD * reward)
    project.command("train", "--name", "run", "--stop-return", threshold, "--max-env-steps", "60_000", check=True)
    assert json.loads(project.read("runs/run/summary.json"))["seconds_to_stop_return"] is not None
    report = project.command("evaluate", "run", "--json", check=True).stdout
    assert json.loads(report)["policy"]["mean"] > THRESHOLD / 2 * reward  # the statistics lie in the checkpoint
