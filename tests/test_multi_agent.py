"""Training for several agents: who acts for whom, the guard, the env runner, self-play and a run of the starter."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import BakedProject
from gymnasium import spaces
from kit.errors import RunError, UsageError
from kit.guard.failure import EnvironmentFailure
from kit.multi_agent import MultiAgentEnv, PastSelf
from kit.multi_agent.adapters import AdaptedAgents
from kit.multi_agent.guard import MOST_IDLE_STEPS, MultiAgentGuard
from kit.multi_agent.policies import roles_of
from kit.task import Task
from kit.vectorization.settings import Vectorization, sync_only

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
CELL: Any = spaces.Discrete(3, start=5)
END = {"__all__": True}
ON = {"__all__": False}


class Scripted(MultiAgentEnv):
    """Returns what it is given, one tuple of `step` after the other; agents "a" and "b" see a Box, "c" sees a cell."""

    def __init__(self, first: dict[str, Any], *steps: tuple[Any, ...]) -> None:
        self.possible_agents, self.agents = ["a", "b", "c"], ["a", "b", "c"]
        self.observation_spaces = {"a": BOX, "b": BOX, "c": CELL}
        self.action_spaces = dict.fromkeys(self.possible_agents, spaces.Discrete(2))
        self.first, self.steps = first, iter(steps)

    def reset(self, **_: Any) -> Any:
        return self.first, {}

    def step(self, actions: dict[Any, Any]) -> Any:
        actions.clear()  # the dict is the environment's own
        return (*next(self.steps), {})


class Crowd(MultiAgentEnv):
    """Agents join, rest, are rewarded meanwhile, and end with or without an observation; it keeps what it has said.

    An observation is (the episode's step, the agent's number), so that each tells where it belongs.
    """

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        self.possible_agents, self.agents = [0, 1, 2, 3], []
        self.observation_spaces = dict.fromkeys(self.possible_agents, spaces.Box(-100.0, 100.0, (2,), np.float32))
        self.action_spaces = dict.fromkeys(self.possible_agents, spaces.Discrete(2))
        self.episodes: list[list[Any]] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps, self.agents, self.gone = 0, [0, 1], set[int]()
        seen = {agent: self._see(agent) for agent in self.agents}
        self.episodes.append([seen])
        return seen, {}

    def step(self, actions: dict[Any, Any]) -> Any:
        self.steps += 1
        draw = self.np_random.random
        rewards = {agent: float(draw()) for agent in self.agents}
        is_over = self.steps == 25
        # The first stays: RLlib's own takes an episode for over once all who have begun are gone.
        terminated = {agent: is_over or (agent != 0 and draw() < 0.1) for agent in self.agents}
        seen = {agent: self._see(agent) for agent in self.agents if draw() < 0.7}
        self.gone |= {agent for agent in self.agents if terminated[agent]}
        self.agents = [agent for agent in self.agents if not terminated[agent]]
        for agent in self.possible_agents:
            if not is_over and agent not in self.gone and agent not in self.agents and draw() < 0.2:
                self.agents.append(agent)
                seen[agent] = self._see(agent)
        terminated |= {"__all__": is_over}
        returned = seen, rewards, terminated, dict.fromkeys(terminated, False)
        self.episodes[-1].append((dict(actions), *returned))
        return (*returned, {})

    def _see(self, agent: int) -> np.ndarray:
        return np.array([self.steps, agent], np.float32)


def crowd_policy(agent: int) -> Any:
    """Trains two policies."""
    return f"policy_{agent % 2}"


def ppo_config(config: Any) -> Any:
    return config.training(use_kl_loss=False, train_batch_size_per_learner=200, minibatch_size=100).rl_module(
        model_config={"hidden_units": [8], "image_features": 8}
    )


def make_task(env_class: Any, policy_of: Callable[[Any], Any] | None, name: str) -> Task:
    task = Task(f"{name}-v0", env_class, None, None, f"{__name__}:ppo_config", policy_of=policy_of)
    task.register()
    return task


def make_runner(task: Task, copies: int = 3, seed: int = 1) -> Any:
    from kit.rllib.config import algorithm_config
    from kit.rllib.multi_agent import MultiAgentEnvRunner

    config = algorithm_config(task, Vectorization(0, copies, "sync"), seed=seed)
    return MultiAgentEnvRunner(config=config)


@pytest.fixture
def crowd() -> Iterator[Any]:
    """Three copies of the crowd in an env runner."""
    runner = make_runner(make_task(Crowd, crowd_policy, "Crowd"))
    yield runner
    runner.stop()


# --- Who acts for whom


def test_roles_say_who_is_trained_who_is_fixed_and_who_is_a_past_self() -> None:
    def rule(observation: Any) -> int:
        return 0

    roles = roles_of(Scripted({}), {"a": "walker", "b": PastSelf("walker"), "c": rule}.get)
    assert (roles.trained, roles.past, roles.fixed) == ({"a": "walker"}, {"b": "walker"}, {"c": rule})
    assert roles.pairs == [["a", "walker"], ["b", None], ["c", None]]
    assert list(roles.policies) == ["walker"]


def test_without_a_function_agents_with_equal_spaces_share_a_policy_and_its_adapters() -> None:
    roles = roles_of(Scripted({}), None)
    assert roles.trained == {"a": "policy_0", "b": "policy_0", "c": "policy_1"}
    assert roles.adapters["a"] is roles.adapters["b"]


def test_policy_of_is_asked_once_a_process() -> None:
    asked = []

    def policy_of(agent: Any) -> str:
        asked.append(agent)
        return str(agent)

    assert roles_of(Scripted({}), policy_of).trained == roles_of(Scripted({}), policy_of).trained
    assert asked == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("policy_of", "message"),
    [
        (lambda agent: "all", "gives 'all' to 'a' and 'c', whose spaces differ"),
        (lambda agent: None, r"policy_of\('a'\) returns None; return the name of a policy, a function"),
        (lambda agent: print, "names no policy to train"),
        ({"a": "x", "b": "x", "c": PastSelf("y")}.get, r"PastSelf\('y'\), which no agent trains; trained are 'x'"),
        ({"a": "../x", "b": "x", "c": "y"}.get, "use letters, digits, _ and -"),
        (lambda agent: 1 / 0, r"policy_of\('a'\) fails: .*ZeroDivisionError"),
    ],
)
def test_roles_that_cannot_be_are_a_line(policy_of: Any, message: str) -> None:
    with pytest.raises(RunError, match=message):
        roles_of(Scripted({}), policy_of)


def test_several_agents_are_stepped_in_sync_only() -> None:
    settings: Any = {"num_env_runners": 0, "num_envs_per_env_runner": 1, "gym_env_vectorize_mode": "auto"}
    assert sync_only(settings)["gym_env_vectorize_mode"] == "sync"
    with pytest.raises(UsageError, match='write "sync" or "auto", and more env runners'):
        sync_only(settings | {"gym_env_vectorize_mode": "async"})


def test_adapted_agents_observe_and_act_as_their_policies_do() -> None:
    env = AdaptedAgents(Scripted({"c": 7}, ({"c": 5}, {"c": 1.0}, ON, ON)))
    assert env.reset()[0]["c"].tolist() == [0, 0, 1]
    assert env.step({"c": np.int64(1)})[0]["c"].tolist() == [1, 0, 0]
    assert env.observation_spaces["c"].shape == (3,)


# --- The guard

SEEN = np.zeros(2, np.float32)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (({}, {"a": math.nan}, ON, ON), "the reward of agent 'a' is nan, not a finite number"),
        (({}, {"a": None}, ON, ON), "the reward of agent 'a' is None"),
        (({"a": np.zeros(3, np.float32)}, {}, ON, ON), r"observation of 'a': expected shape \(2,\)"),
        (({"b": SEEN * math.nan}, {}, ON, ON), r"observation of 'b'\[0\] is nan"),
        (({"c": 8}, {}, ON, ON), "observation of 'c' is 8, outside the range 5..7"),
        (({"ghost": SEEN}, {}, ON, ON), "observations has a key 'ghost', which is none of possible_agents"),
        (({}, {"ghost": 1.0}, ON, ON), "rewards has a key 'ghost'"),
        (({}, {}, {"ghost": True, **ON}, ON), "terminated has a key 'ghost'"),
        (({}, {}, {"a": True}, ON), 'terminated has no "__all__"; set it to True when'),
        (({}, {}, ON, {}), 'truncated has no "__all__"'),
        ((None, {}, ON, ON), "observations is None; return a dict by agent ID"),
    ],
)
def test_guard_names_the_agent_and_the_mistake(step: Any, message: str) -> None:
    guard = MultiAgentGuard(Scripted({"a": SEEN, "b": SEEN}, step))
    guard.reset(seed=3)
    with pytest.raises(EnvironmentFailure, match=f"{message}.*, in step 1 of episode 1 of its copy, seed") as caught:
        guard.step({"a": 0, "b": 1})
    assert caught.value.facts["step"] == caught.value.facts["episode"] == 1
    saved = json.loads(json.dumps(caught.value.facts["actions"]))
    assert list(guard.actions_from_json(saved)) == [{"a": 0, "b": 1}]


@pytest.mark.parametrize(
    ("again", "what"), [(({"a": SEEN}, {}, ON, ON), "observation"), (({}, {"a": 1.0}, ON, ON), "reward")]
)
def test_guard_ends_a_run_in_which_an_agent_comes_back(again: Any, what: str) -> None:
    gone = {"a": SEEN, "b": SEEN}, {"a": 1.0, "b": 1.0}, {"a": True, **ON}, ON
    guard = MultiAgentGuard(Scripted({"a": SEEN, "b": SEEN}, gone, again))
    guard.reset()
    guard.step({"a": 0, "b": 0})
    with pytest.raises(EnvironmentFailure, match=f"agent 'a' has ended in this episode, and gets an? {what} again"):
        guard.step({"b": 0})


def test_guard_ends_a_run_in_which_no_agent_acts() -> None:
    gone = {"a": SEEN}, {"a": 1.0}, {"a": True, **ON}, ON
    guard = MultiAgentGuard(Scripted({"a": SEEN}, gone, *[({}, {}, ON, ON)] * MOST_IDLE_STEPS))
    guard.reset()
    guard.step({"a": 0})
    with pytest.raises(EnvironmentFailure, match=r'all that began have ended, so set terminated\["__all__"\]'):
        for _ in range(MOST_IDLE_STEPS):
            guard.step({})


def test_guard_only_counts_floats_beyond_their_bounds(caplog: pytest.LogCaptureFixture) -> None:
    guard = MultiAgentGuard(Scripted({"a": SEEN + 2}), strict=False)
    assert guard.reset()[0]["a"].tolist() == [2, 2]
    with pytest.raises(EnvironmentFailure, match=r"observation of 'a'\[0\] is 2.0, outside its bounds"):
        MultiAgentGuard(Scripted({"a": SEEN + 2}), strict=True).reset()


# --- The env runner


def rllibs(episode: list[Any]) -> dict[int, Any]:
    """Returns what RLlib makes of an episode: one of a single agent for each."""
    from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

    first, *steps = episode
    seen: Any = {agent: spaces.Box(-100.0, 100.0, (2,), np.float32) for agent in range(4)}
    acted: Any = {agent: spaces.Discrete(2) for agent in range(4)}
    whole = MultiAgentEpisode(
        agent_to_module_mapping_fn=lambda agent, _: crowd_policy(agent),
        observation_space=spaces.Dict(seen),
        action_space=spaces.Dict(acted),
    )
    whole.add_env_reset(observations=first, infos={})
    for actions, observations, rewards, terminated, truncated in steps:
        whole.add_env_step(observations, actions, rewards, {}, terminateds=terminated, truncateds=truncated)
    return {agent: one for agent, one in whole.agent_episodes.items() if len(one)}


def joined(chunks: list[Any]) -> dict[tuple[str, Any], list[Any]]:
    """Returns the chunks of each agent in each episode, in order."""
    found: dict[tuple[str, Any], list[Any]] = {}
    for chunk in sorted(chunks, key=lambda chunk: chunk.t_started):
        found.setdefault((chunk.id_.split("/")[0], chunk.agent_id), []).append(chunk)
    return found


def test_trajectories_are_rllibs_own_however_sampling_cuts_them(crowd: Any) -> None:
    chunks = [chunk for _ in range(40) for chunk in crowd.sample(num_timesteps=21)]
    assert len({chunk.multi_agent_episode_id + str(chunk.agent_id) for chunk in chunks}) == len(chunks)
    found, compared = joined(chunks), 0
    for env in crowd.env.envs:
        for episode in env.unwrapped.episodes[:-1]:
            for agent, theirs in rllibs(episode).items():
                ours = next(
                    parts
                    for (_, name), parts in found.items()
                    if name == agent and sum(map(len, parts)) == len(theirs) and matches(parts, theirs)
                )
                assert [part.t_started for part in ours] == np.cumsum([0, *map(len, ours[:-1])]).tolist()
                assert [part.is_terminated for part in ours] == [False] * (len(ours) - 1) + [True]
                assert all(part.module_id == crowd_policy(agent) for part in ours)
                compared += 1
    assert compared > 80
    assert sum(len(parts) > 1 for parts in found.values()) > 40


def matches(parts: list[Any], theirs: Any) -> bool:
    """Tells whether the chunks hold the steps of one whole episode."""
    rewards = np.concatenate([part.get_rewards() for part in parts])
    if not np.allclose(rewards, theirs.get_rewards()):
        return False
    seen = [*parts[0].get_observations()[:1], *(one for part in parts for one in part.get_observations()[1:])]
    actions = np.concatenate([part.get_actions() for part in parts])
    np.testing.assert_array_equal(np.stack(seen), np.stack(theirs.get_observations()))
    np.testing.assert_array_equal(actions, theirs.get_actions())
    return True


def test_copies_have_seeds_of_their_own_and_a_restart_has_others(crowd: Any) -> None:
    crowd.sample(num_timesteps=90)
    first = [env.unwrapped.episodes[0] for env in crowd.env.envs]
    rewards = {json.dumps([step[2] for step in episode[1:6]]) for episode in first}
    crowd.seed_envs(restart_count=1)
    crowd.sample(num_timesteps=90)
    rewards |= {json.dumps([step[2] for step in env.unwrapped.episodes[-1][1:6]]) for env in crowd.env.envs}
    assert len(rewards) == 6


def test_sampled_counts_steps_of_the_environment_and_of_the_agents(crowd: Any) -> None:
    from kit.rllib.sampled import Sampled

    chunks = crowd.sample(num_timesteps=300)
    sampled: Any = Sampled.of({"env_runners": {"sampled": [one for one in crowd.get_metrics()["sampled"].peek()]}})
    assert sampled.env_steps == 300
    assert sampled.agent_steps == sum(map(len, chunks)) > 300
    ended = [episode for env in crowd.env.envs for episode in env.unwrapped.episodes[:-1]]
    expected = sorted(sum(sum(step[2].values()) for step in episode[1:]) for episode in ended)
    assert sorted(sampled.returns) == pytest.approx(expected)
    for total, by_agent in zip(sampled.returns, sampled.agent_returns, strict=True):
        assert total == pytest.approx(sum(by_agent.values()))


class Duel(MultiAgentEnv):
    """Two play a matrix game for ten steps, each seeing the other's last move; who matches "left" wins."""

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        self.possible_agents, self.agents = ["left", "right"], []
        self.observation_spaces = dict.fromkeys(self.possible_agents, spaces.Box(-1.0, 1.0, (1,), np.float32))
        self.action_spaces = dict.fromkeys(self.possible_agents, spaces.Discrete(2))
        self.seen: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.agents, self.steps = list(self.possible_agents), 0
        return dict.fromkeys(self.agents, np.zeros(1, np.float32)), {}

    def step(self, actions: dict[Any, Any]) -> Any:
        self.steps += 1
        won = 1.0 if actions["left"] == actions["right"] else -1.0
        over = {"__all__": self.steps == 10}
        flags = dict.fromkeys(self.agents, over["__all__"]) | over
        seen = {"left": actions["right"], "right": actions["left"]}
        observations = {agent: np.array([move], np.float32) for agent, move in seen.items()}
        return observations, {"left": won, "right": -won}, dict.fromkeys(flags, False), flags, {}


def always(observation: np.ndarray) -> int:
    assert observation.shape == (1,)
    return 1


def test_a_function_acts_for_an_agent_and_is_not_learned_from() -> None:
    runner = make_runner(make_task(Duel, {"left": "player", "right": always}.get, "Rule"))
    chunks = runner.sample(num_timesteps=60)
    assert {chunk.agent_id for chunk in chunks} == {"left"}
    for chunk in chunks:
        assert chunk.get_observations()[1:].tolist() == [[1.0]] * len(chunk)
        assert chunk.is_truncated and not chunk.is_terminated
    sampled = runner.get_metrics()["sampled"].peek()[0]
    assert sampled.returns == [one["left"] for one in sampled.agent_returns]


def test_a_past_self_is_drawn_for_an_episode_and_acts_in_all_of_it() -> None:
    runner = make_runner(make_task(Duel, {"left": "player", "right": PastSelf("player")}.get, "PastSelf"), copies=8)
    actor = runner.module["player"].actor
    snapshots = []
    for favourite in (0, 1):  # each nearly always makes the same move
        weights = {name: tensor.clone() for name, tensor in actor.state_dict().items()}
        last = [name for name in weights if name.endswith("bias") and weights[name].shape == (2,)][-1]
        weights[last][favourite] += 50
        snapshots.append(weights)
    runner.set_snapshots({"player": snapshots})
    chunks = runner.sample(num_timesteps=800)
    moves = [chunk.get_observations()[1:, 0].tolist() for chunk in chunks]
    assert {chunk.agent_id for chunk in chunks} == {"left"}
    assert all(len(set(of_episode)) == 1 for of_episode in moves)
    assert 20 < sum(of_episode[0] for of_episode in moves) < 60


class Masked(Duel):
    """The moves that are allowed come with each observation."""

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__()
        space = spaces.Dict(action_mask=spaces.MultiBinary(2), move=self.observation_spaces["left"])
        self.observation_spaces = dict.fromkeys(self.possible_agents, space)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        observations, infos = super().reset(seed=seed)
        return self._masked(observations), infos

    def step(self, actions: dict[Any, Any]) -> Any:
        assert set(actions.values()) == {self.steps % 2}
        observations, *rest = super().step(actions)
        return (self._masked(observations), *rest)

    def _masked(self, observations: dict[Any, Any]) -> dict[Any, Any]:
        mask = np.eye(2, dtype=np.int8)[self.steps % 2]
        return {agent: {"action_mask": mask, "move": move} for agent, move in observations.items()}


def test_masks_are_kept_by_every_agent() -> None:
    runner = make_runner(make_task(Masked, None, "Masked"))
    assert sum(map(len, runner.sample(num_timesteps=120))) == 240


def test_status_has_the_means_of_agents_and_policies() -> None:
    from kit.training.agents import MultiAgentStatus
    from kit.training.progress import progress_line

    returns = [{"a": 1.0, "b": 3.0}, {"a": 2.0}]
    sampled: Any = SimpleNamespace(
        **{"env_steps": 7, "agent_steps": 9, "returns": [4.0, 2.0], "lengths": [3, 4], "agent_returns": returns},
        observations_out_of_bounds=0,
    )
    agents: Any = [["a", "walker"], ["b", "walker"], ["c", "idle"], ["d", None]]
    status = MultiAgentStatus(agents=agents).after(sampled, 1.0)
    assert status.mean_return == 3.0
    columns = {"agent_steps": 9, "return_a": 1.5, "return_b": 3.0, "return_c": None, "return_d": None}
    assert status.columns() == columns | {"return_walker": 2.0, "return_idle": None}
    row = dict.fromkeys(("episode_return_mean", "episode_return_min", "episode_return_max", "best_return"), 3.0)
    row |= {"iteration": 1, "env_steps": 7, "steps_per_second": 7.0}
    assert "| return 3 (3 to 3), walker 2 |" in progress_line(row | status.columns(), 0.0, status.policies)
    many = MultiAgentStatus(agents=[[number, "walker"] for number in range(9)]).after(sampled, 1.0)
    assert list(many.columns()) == ["agent_steps", "return_walker"]


def test_callbacks_that_would_not_be_called_are_refused() -> None:
    from kit.rllib.config import algorithm_config

    task = Task("Called-v0", Duel, None, None, f"{__name__}:with_callback")
    task.register()
    with pytest.raises(RunError, match="callbacks on episodes are not called for several agents"):
        algorithm_config(task, Vectorization(0, 1, "sync"), seed=0)


def with_callback(config: Any) -> Any:
    return ppo_config(config).callbacks(on_episode_end=print)


def test_rllibs_own_env_runner_takes_the_registered_environment() -> None:
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner

    task = make_task(Crowd, None, "OfRLlib")
    config = PPOConfig().environment(task.register_with_rllib()).env_runners(num_env_runners=0)
    config.multi_agent(policies={"all"}, policy_mapping_fn=lambda agent, episode, **_: "all")
    runner = MultiAgentEnvRunner(config=config)
    assert sum(map(len, runner.sample(num_timesteps=50, random_actions=True))) == 50


# --- The starter


def test_starter_trains_and_goes_on(multi_agent: BakedProject) -> None:
    options = ("--name", "short", "--num-env-runners", "0", "--stop-return", "none")
    first = multi_agent.command("train", *options, "--max-env-steps", "4000", check=True)
    assert "carrier acts for carrier_0, carrier_1; policy and value network" in first.stdout
    run = multi_agent.path / "runs" / "short"
    rows = run.joinpath("progress.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0].endswith("agent_steps,return_carrier_0,return_carrier_1,return_scout,return_carrier")
    multi_agent.command("train", "--name", "short", "--resume", "--max-env-steps", "8000", check=True)
    after = run.joinpath("progress.csv").read_text(encoding="utf-8").splitlines()
    assert after[: len(rows)] == rows and len(after) == len(rows) + 2
    assert int(after[-1].split(",")[rows[0].split(",").index("agent_steps")]) > 2 * 8000
    facts = json.loads(run.joinpath("checkpoints/last/policy/policies.json").read_text(encoding="utf-8"))
    assert facts["agents"] == [["carrier_0", "carrier"], ["carrier_1", "carrier"], ["scout", "scout"]]
    assert run.joinpath("learning_curve.png").stat().st_size > 10_000


@pytest.fixture
def own(multi_agent: BakedProject, tmp_path: Path) -> BakedProject:
    """The starter, to be changed."""
    return multi_agent.copy(tmp_path)


def rewrite(project: BakedProject, file: str, old: str, new: str) -> None:
    """Replaces a text in a file of the project, which is there once."""
    path = project.source / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, text
    path.write_text(text.replace(old, new), encoding="utf-8")


def break_sometimes(project: BakedProject, chance: float) -> None:
    """Makes the reward NaN where a lifted load is in a rare place."""
    rare = f"np.nan if self._load == 1 and self.np_random.random() < {chance} else 0.1 * ("
    rewrite(project, "env.py", "reward = 0.1 * (", f"reward = {rare}")


def test_policies_that_cannot_be_end_in_a_line_before_ray_starts(own: BakedProject) -> None:
    rewrite(own, "policies.py", 'agent.partition("_")[0]', '"all"')
    done = own.command("train", "--name", "wrong")
    assert done.returncode == 1
    assert "policy_of gives 'all' to 'carrier_0' and 'scout', whose spaces differ" in done.stderr
    assert "Traceback" not in done.stderr and "starting Ray" not in done.stdout


def test_failure_of_the_environment_ends_the_run_and_is_played_again(own: BakedProject) -> None:
    break_sometimes(own, 0.05)
    done = own.command("train", "--name", "faulty", "--num-env-runners", "0", "--stop-return", "none")
    assert done.returncode == 1
    assert "the reward of agent 'carrier_0' is nan, not a finite number, in step" in done.stderr
    again = own.command("replay", "runs/faulty/failure.json")
    assert again.returncode == 1
    assert "the reward of agent 'carrier_0' is nan" in again.stderr


def wear_out(project: BakedProject) -> None:
    """Makes the reward NaN from an env runner's 3,000th step on: in its third iteration, whatever its policy does."""
    worn_out = '"ray" in sys.modules and next(_STEPS) >= 3_000'
    rewrite(project, "env.py", "reward = 0.1 * (", f"reward = np.nan if {worn_out} else 0.1 * (")
    rewrite(project, "env.py", "@dataclass", "_STEPS = itertools.count()\n\n\n@dataclass")
    rewrite(project, "env.py", "from collections", "import itertools\nimport sys\nfrom collections")


@pytest.mark.slow
def test_keep_going_trains_on_after_failures(own: BakedProject) -> None:
    wear_out(own)
    copies = ("--num-env-runners", "2", "--num-envs-per-env-runner", "16")
    options = (*copies, "--stop-return", "none", "--max-env-steps", "20000", "--keep-going")
    done = own.command("train", "--name", "stubborn", *options, check=True)
    assert "the reward of agent 'carrier_0' is nan" in done.stdout and "going on after iteration" in done.stdout
    rows = own.read("runs/stubborn/progress.csv").splitlines()
    assert [int(row.split(",")[0]) for row in rows[1:]] == list(range(1, len(rows)))


@pytest.mark.slow
def test_self_play_keeps_its_opponents_when_it_goes_on(own: BakedProject) -> None:
    rewrite(
        own,
        "policies.py",
        "from typing import Any\n",
        "from typing import Any\n\nfrom .kit.multi_agent import PastSelf\n",
    )
    new = 'PastSelf("carrier") if agent == "carrier_1" else agent.partition("_")[0]'
    rewrite(own, "policies.py", 'agent.partition("_")[0]', new)
    options = ("--stop-return", "none", "--num-env-runners", "2")
    own.command("train", "--name", "past", *options, "--max-env-steps", "24000", check=True)
    opponents = own.path / "runs" / "past" / "opponents"
    assert sorted(int(path.name) for path in opponents.iterdir()) == [0, 20480]
    before = {path: path.read_bytes() for path in opponents.rglob("*.safetensors")}
    (opponents / "30720.new").mkdir()  # of a crash
    (opponents / "28672").mkdir()  # of iterations that were lost
    own.command("train", "--name", "past", "--resume", "--max-env-steps", "42000", check=True)
    assert sorted(int(path.name) for path in opponents.iterdir()) == [0, 20480, 40960]
    assert all(path.read_bytes() == content for path, content in before.items())
    facts = json.loads(own.read("runs/past/checkpoints/last/policy/policies.json"))
    assert facts["agents"] == [["carrier_0", "carrier"], ["carrier_1", None], ["scout", "scout"]]
