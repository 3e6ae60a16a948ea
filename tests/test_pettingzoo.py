"""PettingZoo's environments in and out; its own ones are the test."""

import json
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import BakedProject, clean_environment
from gymnasium import spaces
from kit.config import ConfigError
from kit.errors import UsageError
from kit.multi_agent.env import ALL, TimeLimit
from kit.multi_agent.guard import MultiAgentGuard
from kit.task import Task
from test_multi_agent_policy import Race

pytest.importorskip("pettingzoo")

from kit.multi_agent.pettingzoo import FromPettingZoo, ToPettingZoo
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.test import parallel_api_test, parallel_seed_test

# Which, how it is made, and with what: short episodes.
OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "classic.tictactoe_v3": ("env", {}),
    "classic.connect_four_v3": ("env", {}),
    "classic.leduc_holdem_v4": ("env", {}),
    "classic.chess_v6": ("env", {}),
    "classic.rps_v2": ("parallel_env", {}),
    "butterfly.pistonball_v6": ("parallel_env", {"n_pistons": 4, "max_cycles": 20}),
    "butterfly.cooperative_pong_v6": ("parallel_env", {"max_cycles": 30}),
    "butterfly.knights_archers_zombies_v11": ("parallel_env", {"max_cycles": 300}),
    "sisl.pursuit_v5": ("parallel_env", {"max_cycles": 20}),
}
TURNS = {"butterfly.knights_archers_zombies_v11": ("env", {"max_cycles": 100})}  # the same, one agent after the other
CASES = [(name, *how) for name, how in [*OWN.items(), *TURNS.items()]]


def theirs(name: str, how: str) -> Any:
    return getattr(pytest.importorskip(f"pettingzoo.{name}"), how)


def ours(made: Any) -> type[FromPettingZoo]:
    """Returns the class that a project would write."""

    class Mine(FromPettingZoo):
        make = made

    return Mine


def allowed(space: Any, observation: Any, random: np.random.Generator) -> Any:
    """Draws an action, the same for the same state of `random`."""
    space.seed(int(random.integers(2**31)))
    return space.sample(observation["action_mask"] if isinstance(observation, dict) else None)


def by_its_own_loop(env: Any, seed: int) -> tuple[dict[Any, float], int]:
    """Plays an episode as PettingZoo's documentation does; returns the returns, and the number of actions."""
    random, returns, count = np.random.default_rng(seed), dict.fromkeys(env.possible_agents, 0.0), 0
    if isinstance(env, AECEnv):
        env.reset(seed=seed)
        for agent in env.agent_iter():
            observation, reward, terminated, truncated, _ = env.last()
            returns[agent] += reward
            over = terminated or truncated
            env.step(None if over else allowed(env.action_space(agent), observation, random))
            count += not over
        return returns, count
    observations, _ = env.reset(seed=seed)
    while env.agents:
        actions = {agent: allowed(env.action_space(agent), observations[agent], random) for agent in env.agents}
        observations, rewards, _, _, _ = env.step(actions)
        for agent, reward in rewards.items():
            returns[agent] += reward
        count += len(actions)
    return returns, count


def by_ours(env: Any, seed: int) -> tuple[dict[Any, float], int]:
    """Plays the same episode through the kit's interface, whose rules it holds on the way."""
    random, returns, count = np.random.default_rng(seed), dict.fromkeys(env.unwrapped.possible_agents, 0.0), 0
    own, ended, over = env.unwrapped, set[Any](), False
    observations, infos = env.reset(seed=seed)
    while not over:
        assert set(infos) == set(observations) and ended.isdisjoint(own.agents)
        for agent, observation in observations.items():
            assert own.observation_spaces[agent].contains(observation)
        acting = [agent for agent in observations if agent not in ended]
        assert acting and set(acting) <= set(own.agents)
        actions = {agent: allowed(own.action_spaces[agent], observations[agent], random) for agent in acting}
        observations, rewards, terminated, truncated, infos = env.step(actions)
        for agent, reward in rewards.items():
            assert type(reward) is float
            returns[agent] += reward
        ended |= {agent for flags in (terminated, truncated) for agent in flags if flags[agent]} - {ALL}
        over = terminated[ALL] or truncated[ALL]
        assert over == (not own.agents) and not (terminated[ALL] and truncated[ALL])
        count += len(actions)
    return returns, count


@pytest.fixture(autouse=True)
def no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets pygame draw where nobody sees it."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.mark.parametrize(("name", "how", "config"), CASES, ids=[f"{name}-{how}" for name, how, _ in CASES])
def test_its_own_environments_play_as_by_its_own_loop(name: str, how: str, config: dict[str, Any]) -> None:
    made = theirs(name, how)
    raw, env = made(**config), MultiAgentGuard(ours(made)(config))
    for seed in range(2):
        env._first_seed = seed  # which a Guard otherwise draws
        expected, count = by_its_own_loop(raw, seed)
        returns, ours_count = by_ours(env, seed)
        assert ours_count == count
        assert returns == pytest.approx(expected)
    env.close()


@pytest.mark.parametrize(("name", "how", "config"), CASES, ids=[f"{name}-{how}" for name, how, _ in CASES])
def test_rllib_takes_every_step(name: str, how: str, config: dict[str, Any]) -> None:
    play_into_an_episode(ours(theirs(name, how))(config))


def test_rllib_takes_what_a_time_limit_cuts() -> None:
    """An agent that rests has a last observation all the same."""
    agents = play_into_an_episode(TimeLimit(Duel(), 3))
    assert [len(one) for one in agents.values()] == [2, 1] and all(one.is_truncated for one in agents.values())


def play_into_an_episode(env: Any) -> Any:
    """Plays an episode into RLlib's own, which refuses what it can't use; returns those of the agents."""
    episodes = pytest.importorskip("ray.rllib.env.multi_agent_episode")
    own, random, over = env.unwrapped, np.random.default_rng(0), False
    episode = episodes.MultiAgentEpisode(
        observation_space=own.observation_spaces, action_space=own.action_spaces, agent_module_ids={}
    )
    observations, infos = env.reset(seed=0)
    episode.add_env_reset(observations=observations, infos=infos)
    while not over:
        acting = [agent for agent in observations if agent in own.agents]
        actions = {agent: allowed(own.action_spaces[agent], observations[agent], random) for agent in acting}
        observations, rewards, terminated, truncated, infos = env.step(actions)
        episode.add_env_step(observations, actions, rewards, infos, terminateds=terminated, truncateds=truncated)
        over = terminated[ALL] or truncated[ALL]
    assert episode.is_done and all(one.is_done for one in episode.agent_episodes.values())
    return episode.agent_episodes


class Rough(ParallelEnv[str, Any, Any]):
    """Agents that come late, end in different ways in one step, and are spoken of when they are gone."""

    metadata = {"name": "rough_v0", "render_modes": ["rgb_array"]}
    possible_agents = ["early", "middle", "late"]

    def __init__(self, render_mode: str | None = None, length: int = 3) -> None:
        self.render_mode, self.length = render_mode, length

    def observation_space(self, agent: str) -> Any:
        return spaces.Discrete(9)

    action_space = observation_space

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.steps = ["early", "middle"], 0
        return dict.fromkeys(self.possible_agents, 0), {"common": {"day": 1}, "early": {"first": True}}

    def step(self, actions: Any) -> Any:
        assert list(actions) == self.agents
        self.steps += 1
        terminated = {"early": np.bool_(self.steps >= 1), "middle": np.bool_(False), "late": self.steps == self.length}
        truncated = {"early": False, "middle": self.steps == self.length, "late": self.steps == self.length}
        self.agents = ["middle", "late"] if self.steps < self.length else []
        observations = dict.fromkeys(self.possible_agents, self.steps)
        return observations, dict.fromkeys(observations, np.float32(1)), terminated, truncated, {"common": {}}

    def render(self) -> Any:
        return np.zeros((8, 8, 3), np.uint8)


def test_agents_that_come_late_end_apart_and_are_still_spoken_of() -> None:
    env: Any = ours(Rough)()
    observations, infos = env.reset(seed=1)
    assert observations == {"early": 0, "middle": 0} and infos == {"early": {"first": True}, "middle": {}}
    observations, rewards, terminated, truncated, infos = env.step({"early": 0, "middle": 0})
    assert env.agents == ["middle", "late"] and set(observations) == {"early", "middle", "late"}
    assert terminated == {"early": True, "middle": False, "late": False, ALL: False} and not any(truncated.values())
    observations, rewards, terminated, truncated, infos = env.step({"middle": 0, "late": 0})
    assert set(observations) == set(rewards) == set(infos) == {"middle", "late"} and "early" not in terminated
    observations, rewards, terminated, truncated, infos = env.step({"middle": 0, "late": 0})
    assert terminated == {"middle": False, "late": True, ALL: False} and env.agents == []
    assert truncated == {"middle": True, "late": False, ALL: True}
    env.reset()
    assert env.agents == ["early", "middle"]


class Duel(FromPettingZoo):
    """At the top of a module, as in a project's env.py."""

    make = theirs("classic.tictactoe_v3", "env")


TASK = Task("kit_tests/Duel-v0", Duel, None, None, "")
TASK.register()


def test_task_makes_it_with_its_config_and_its_pictures() -> None:
    assert TASK.is_multi_agent
    env: Any = TASK.make({"screen_height": 90}, "rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (90, 90, 3) and env.metadata["render_fps"] == 1
    assert env.unwrapped.config == {"screen_height": 90} and env.unwrapped.env is not Duel({}).env
    with pytest.raises(UsageError, match="--config: Duel.make doesn't take this config: .*'screen_hight'"):
        TASK.check_config({"screen_hight": 90})
    env.close()


def test_copies_and_pickles_go_on_alone() -> None:
    first, second = Duel(), Duel()
    first.reset(seed=0)
    second.reset(seed=0)
    first.step({"player_1": 4})
    assert first.agents == second.agents and second.step({"player_1": 4})[0].keys() == {"player_2"}
    again = pickle.loads(pickle.dumps(Duel({"screen_height": 90})))
    assert again.reset(seed=0)[0].keys() == {"player_1"} and again.config == {"screen_height": 90}
    assert pickle.loads(pickle.dumps(TASK)).env_class is Duel


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (lambda: Race(), ValueError, "make returned Race; return a PettingZoo ParallelEnv or AECEnv"),
        (
            type("Nameless", (Rough,), {"possible_agents": []}),
            ValueError,
            "has no possible_agents: list there all agents",
        ),
        (lambda length: None, TypeError, "missing 1 required positional argument"),
    ],
)
def test_what_cannot_be_made_says_why(made: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ours(made)()
    with pytest.raises(ConfigError):
        ours(Rough)({"lenght": 3})


@pytest.mark.parametrize("make", [Race, ours(Rough), ours(theirs("classic.rps_v2", "parallel_env"))])
def test_environments_pass_its_api_test(make: Callable[[], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(ToPettingZoo(make()), num_cycles=50)
        parallel_seed_test(lambda: ToPettingZoo(make()), num_cycles=10)


def test_agent_that_rests_sees_its_last_observation_again() -> None:
    """In a turn-based environment, the other's action isn't used."""
    env = ToPettingZoo(Duel())
    observations, _ = env.reset(seed=0)
    assert env.agents == list(observations) == ["player_1"]
    env.step({"player_1": 0})
    assert env.agents == ["player_1", "player_2"]
    observations, rewards, *_ = env.step({"player_1": 8, "player_2": 1})
    assert observations["player_1"]["observation"][..., 0].sum() == 1 and rewards == {"player_1": 0, "player_2": 0}
    assert observations["player_2"]["action_mask"].sum() == 8  # as it was when it acted
    assert env.render() is None
    env.close()


def docs_of(project: BakedProject) -> tuple[str, str]:
    """Returns the two blocks of Python in the docs: the page for env.py, and the way out."""
    text = project.manual("environments").partition("## PettingZoo")[2].partition("\n## ")[0]
    page, way_out = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return page, way_out


def test_lines_of_the_docs(bake: Callable[..., BakedProject]) -> None:
    """The page for env.py is all that it takes, and the lines for the way out run."""
    project = bake()
    page, way_out = docs_of(project)
    (project.source / "env.py").write_text(page)
    done = subprocess.run(
        [sys.executable, "-c", f"{way_out}\nfrom {project.package} import TASK\nprint(TASK.make().reset()[0].keys())"],
        env=clean_environment() | {"PYTHONPATH": str(project.path / "src")},
        capture_output=True,
        text=True,
    )
    assert "Passed Parallel API test" in done.stdout and "dict_keys(['player_1'])" in done.stdout, done.stderr
    assert "pettingzoo = [" in project.read("pyproject.toml")


def test_starter_passes_its_api_test(multi_agent: BakedProject) -> None:
    way_out = docs_of(multi_agent)[1]
    seeds = "from pettingzoo.test import parallel_seed_test\nparallel_seed_test(lambda: ToPettingZoo(TASK.make()))\n"
    done = multi_agent.run("-c", f"{way_out}{seeds}", check=True)
    assert "Passed Parallel API test" in done.stdout
    # PettingZoo plays at random: now and then an episode is over before the scout has come.
    warned = [line for line in done.stderr.splitlines() if "Warning: " in line]
    assert all("No agents present but not all possible_agents" in line for line in warned), done.stderr


@pytest.mark.slow
def test_game_of_two_trains_against_its_own_past(bake: Callable[..., BakedProject]) -> None:
    project = bake(project_name="Noughts").install()
    (project.source / "env.py").write_text(docs_of(project)[0])
    registration = project.read("src/noughts/registration.py")
    who = "    policy_of=lambda agent: 'player' if agent == 'player_1' else PastSelf('player'),\n)\nTASK.register"
    registration = registration.replace(")\nTASK.register", who)
    (project.source / "registration.py").write_text(f"from noughts.kit.multi_agent import PastSelf\n{registration}")
    project.command("train", "--name", "first", "--seed", "1", "--max-env-steps", "50000", check=True)
    report = json.loads(project.command("evaluate", "first", "--episodes", "40", "--json", check=True).stdout)
    assert report["policy"]["mean"] > 0.5 > 0 > report["random"]["mean"]
    rates = report["win_rates"]
    assert list(rates)[:2] == ["random", "0"] and list(rates)[-1] == "policy" and len(rates) > 3
    assert rates["policy"]["random"] > 0.8 > rates["random"]["random"]
