"""The contract for several agents: every class of mistakes is named, and no correct environment is accused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from correct_agents import CORRECT, Base, StrictTurns
from kit.contract import Failure, Report, checks_of, run_checks
from kit.contract.ignore import known
from kit.errors import UsageError
from kit.multi_agent.env import TimeLimit
from several_agents import WALKERS, check, check_class


@dataclass(frozen=True)
class Mutant:
    """One way to break the environment.

    Attributes:
        name: the mistake.
        fails: the check that must name it.
        says: what its sentence must mention.
        changes: (old, new) pairs of text.
    """

    name: str
    fails: str
    says: str
    changes: tuple[tuple[str, str], ...]


def before(text: str, *lines: str) -> tuple[str, str]:
    """Puts lines of a method before `text`."""
    return text, "".join(f"        {line}\n" for line in lines) + text


RETURN = "        return observations, rewards, terminated, truncated, infos\n"
SEED = "        super().reset(seed=seed)\n"
TERMINATED = "        terminated = {agent: won or agent in home for agent in self.agents}\n"
TRUNCATED = "        truncated = {agent: not terminated[agent] and (late or agent in tired) for agent in self.agents}\n"
ALL_WON, ALL_LATE = 'terminated["__all__"] = won', 'truncated["__all__"] = late and not won'
STARTED = (
    "        return {agent: self._observe(agent) for agent in self.agents}, {agent: {} for agent in self.agents}\n"
)
LOOK = "        return np.array([self.place[agent] / LENGTH, self.time / LIMIT], np.float32)\n"
TABLES = "        self.observation_spaces = {agent: self._space(agent) for agent in self.possible_agents}\n"
ACTIONS = "        self.action_spaces = {agent: spaces.Discrete(3 if agent in WALKERS else 2) for agent in self.possible_agents}\n"
MOVE = "self.place[agent] + int(actions[agent]) - 1 + push"
REWARDS = "        rewards = {agent: reward for agent in self.agents}\n"
TIME = "        self.time += 1\n"
CLASS = '    metadata = {"render_modes": []}\n'
DRAW = "int(self.np_random.integers(0, 4))"
INIT = "        self.render_mode = render_mode\n"

MUTANTS = (
    # `__all__` and the ends.
    Mutant("all flag missing", "all_flag_returned", "no key '__all__'", ((f"        {ALL_WON}\n        {ALL_LATE}\n", ""),)),
    Mutant("all flag never True", "all_flag_at_the_end", "called for ever", ((ALL_WON, 'terminated["__all__"] = False'), (ALL_LATE, 'truncated["__all__"] = False'), ("late = len(home) == 2, self.time == LIMIT", "late = len(home) == 2, False"), ("[: actions.get(\"caller\", 0)]", "[:0]"))),
    Mutant("all flag when any ends", "all_flag_not_early", "still at it", ((ALL_WON, 'terminated["__all__"] = any(terminated.values())'),)),
    Mutant("mixed end", "all_flag_at_the_end", "some truncated", ((ALL_WON, 'terminated["__all__"] = all(terminated.values())'), (ALL_LATE, 'truncated["__all__"] = all(truncated.values())'), ("won or agent in home", "agent in home"), ("(late or agent in tired)", "(won or late or agent in tired)"))),
    Mutant("never ends", "episodes_end", "no episode ended", (("self.time == LIMIT", "False"), ("home = [agent for agent in WALKERS if self.place[agent] == LENGTH]", "home = []"), ("self.time / LIMIT]", "self.time % 9 / LIMIT]"))),
    Mutant("new ones after all are dead", "all_flag_at_the_end", "comes in step", ((ALL_WON, 'terminated["__all__"] = False'), ('[: actions.get("caller", 0)]', "[: 0 if self.agents else 1]"), ("        if self.agents:\n", "        if self.agents or joining:\n"))),
    Mutant("reset brings nobody back", "reset_observes", "do not come back", (("        self.agents = []\n", "        self.agents = [*WALKERS, \"caller\"]\n"), ('        self.agents = [*WALKERS, "caller"]\n        self.place', "        self.place"),)),
    Mutant("reset brings some back", "reset_starts_afresh", "previous episode leaks", (("        self.agents = []\n", "        self.agents = [*WALKERS, \"caller\"]\n"), ('        self.agents = [*WALKERS, "caller"]\n        self.place', "        self.agents = self.agents or [*WALKERS]\n        self.place"))),
    Mutant("no last observation on truncation", "last_observation_returned", "is truncated", (("        seen = [agent for agent in self.agents if ", "        seen = [agent for agent in self.agents if not truncated[agent] and ("), ("or agent in over]", "or agent in over)]"))),
    Mutant("no last observation on termination", "last_observation_returned", "is terminated", (("        seen = [agent for agent in self.agents if ", "        seen = [agent for agent in self.agents if not terminated[agent] and ("), ("or agent in over]", "or agent in over)]"))),
    Mutant("both flags", "agents_end_flags_differ", "both", ((TRUNCATED, "        truncated = {agent: terminated[agent] or late or agent in tired for agent in self.agents}\n"), (TERMINATED, "        tired = [agent for agent in self.agents if self.energy.get(agent) == 0]\n        terminated = {agent: won or agent in home or late or agent in tired for agent in self.agents}\n"))),
    # Who has ended.
    Mutant("reward of a dead agent", "ended_agents_stay_away", "gets a reward", (before(RETURN, "rewards.update({agent: 1.0 for agent in home})"),)),
    Mutant("observation of a dead agent", "ended_agents_stay_away", "gets an observation", (before(RETURN, "observations.update({agent: self._observe(agent) for agent in home})"),)),
    Mutant("info of a dead agent", "ended_agents_stay_away", "gets an info", (before(RETURN, "infos.update({agent: {} for agent in home})"),)),
    Mutant("flag of a dead agent", "ended_agents_stay_away", "flagged as alive", (before(RETURN, "dead = [agent for agent in WALKERS if agent not in self.agents and agent not in over]", "terminated.update({agent: False for agent in dead})", "truncated.update({agent: False for agent in dead})"),)),
    Mutant("revived under the same id", "ended_agents_stay_away", "takes a free ID", (("if agent not in self.energy][:", "if self.energy.get(agent, 0) <= 0 and agent not in self.agents][:"),)),
    Mutant("agents never shrink", "agents_are_the_present", "still holds", (("self.agents", "self.present"), ("        self.time = 0\n", "        self.time, self.agents = 0, [*WALKERS, *HELPERS]\n"))),
    # The dicts and their keys.
    Mutant("acting agent without reward", "acting_agents_are_rewarded", "gets no reward", ((REWARDS, '        rewards = {agent: reward for agent in self.agents if agent != "b"}\n'),)),
    Mutant("reward of an unknown id", "only_possible_agents", "rewards hold 'team'", (before(RETURN, 'rewards["team"] = reward'),)),
    Mutant("observation of an unknown id", "only_possible_agents", "observations hold 'ghost'", (before(RETURN, 'observations["ghost"] = 0'),)),
    Mutant("__all__ among observations", "only_possible_agents", "only the flags", (before(RETURN, 'observations["__all__"] = 0'),)),
    Mutant("integer ids for texts", "only_possible_agents", "a int in place of a str", ((RETURN, RETURN.replace("observations,", "{['a', 'b'].index(agent) if agent in WALKERS else agent: obs for agent, obs in observations.items()},")),)),
    Mutant("fresh id for every spawn", "only_possible_agents", "helper_2", (("[agent for agent in HELPERS if agent not in self.energy][:", '[f"helper_{len(self.energy)}"][:'), ("if agent in HELPERS:\n            return", 'if agent.startswith("helper"):\n            return'), ("elif agent in HELPERS", 'elif agent.startswith("helper")'), ("len(self.energy) < 2", "1"))),
    Mutant("possible_agents grow", "possible_agents_declared", "has changed while playing", (before(RETURN, "self.possible_agents = [*self.possible_agents, f'x{self.time}']"),)),
    Mutant("no possible_agents", "possible_agents_declared", "must be a list of agent IDs", (("        self.possible_agents = [*WALKERS", "        ids = [*WALKERS"), (TABLES, TABLES.replace("self.possible_agents", "ids")), (ACTIONS, ACTIONS.replace("self.possible_agents", "ids")))),
    Mutant("reset observes nobody", "reset_observes", "observes nobody", ((STARTED, "        return {}, {}\n"),)),
    Mutant("reset forgets one", "reset_forgets_nobody", "forgets agent 'b'", ((STARTED, '        return {agent: self._observe(agent) for agent in self.agents if agent != "b"}, {}\n'),)),
    Mutant("infos are None", "info_type", "info must be a dict", ((RETURN, RETURN.replace("infos", "None")),)),
    Mutant("info is no dict", "info_type", "infos['a'] must be a dict", (("infos = {agent: {} for", "infos = {agent: '' for"),)),
    Mutant("rewards are no dict", "results_are_dicts", "rewards must be a dict", ((RETURN, RETURN.replace("rewards", "reward")),)),
    # Flags.
    Mutant("int flags", "agents_end_flags_type", "got int", ((TERMINATED, TERMINATED.replace("won or agent in home", "int(won or agent in home)")),)),
    Mutant("None flags", "agents_end_flags_type", "got None", ((TRUNCATED, TRUNCATED.replace("(late or agent in tired)", "(late or agent in tired or None)")),)),
    Mutant("flag of a live agent missing", "agents_end_flags_complete", "has no flags", (before(RETURN, "for flags in (terminated, truncated):", "    flags.pop('b', None) if 'b' not in over else None"),)),
    # Observations and spaces.
    Mutant("outside its space", "observation_bounds", "agent 'a' (also 'b')", (("self.place[agent] / LENGTH, self", "1.5 * self.place[agent] / LENGTH, self"),)),
    Mutant("float64", "observation_dtype", "float64", (("self.time / LIMIT], np.float32)", "self.time / LIMIT])"),)),
    Mutant("list", "observation_type", "got list", ((LOOK, "        return [self.place[agent] / LENGTH, self.time / LIMIT]\n"),)),
    Mutant("NaN", "observation_finite", "NaN", (("self.time / LIMIT], np", "np.nan if self.time == 7 else self.time / LIMIT], np"),)),
    Mutant("another agent's space", "observations_under_their_ids", "in that of 'helper_0'", (("    def _observe(self, agent):\n", "    def _observe(self, agent):\n        if agent == 'a':\n            return self.place[agent] % 7\n"),)),
    Mutant("observations exchanged", "observations_not_exchanged", "look exchanged", (("self.place[agent] / LENGTH, self", "self.place['ab'[agent == 'a']] / LENGTH, self"),)),
    Mutant("one buffer", "observation_not_overwritten", "overwritten", (("        self.agents = []\n", "        self.agents, self._buffer = [], np.zeros(2, np.float32)\n"), (LOOK, "        self._buffer[:] = self.place[agent] / LENGTH, self.time / LIMIT\n        return self._buffer\n"))),
    Mutant("observations never change", "observation_changes", "constant", ((LOOK, "        return np.zeros(2, np.float32)\n"), ('"homes": homes, "action_mask": np.array([1, len(self.energy) < 2], np.int8)', '"homes": 0, "action_mask": np.ones(2, np.int8)'), ("return self.energy[agent]", "return 0"))),
    Mutant("illegal mask", "action_mask_leaves_choice", "all zeros", (("np.array([1, len(self.energy) < 2], np.int8)", "np.array([len(self.energy) < 2] * 2, np.int8)"),)),
    Mutant("one space for all", "agents_have_spaces", "one space for all", ((TABLES, "        self.observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)\n"),)),
    Mutant("no space for one", "agents_have_spaces", "no space for agent 'helper_1'", ((ACTIONS, ACTIONS.replace("self.possible_agents", "self.possible_agents[:-1]")),)),
    Mutant("spaces rebuilt on each call", "spaces_stable", "new space object at every access", ((TABLES, ""), (CLASS, f"{CLASS}    observation_spaces = property(lambda self: {{agent: self._space(agent) for agent in self.possible_agents}})\n"))),
    # Rewards.
    Mutant("NaN reward", "reward_finite", "nan", (before(REWARDS, "reward = float('nan') if self.time == 5 else reward"),)),
    Mutant("None reward", "reward_type", "None", (before(REWARDS, "reward = None if self.time == 5 else reward"),)),
    Mutant("text reward", "reward_type", "str", (before(REWARDS, "reward = str(reward)"),)),
    Mutant("array reward", "reward_type", "array", (before(REWARDS, "reward = np.array([reward])"),)),
    Mutant("bool reward", "reward_type", "bool", (before(REWARDS, "reward = reward > 0"),)),
    Mutant("cumulative reward", "reward_not_cumulative", "running sum", (("        self.time = 0\n", "        self.time, self._sum = 0, 0.0\n"), before(REWARDS, "self._sum -= 0.1", "reward = self._sum"))),
    # Actions.
    Mutant("needs every agent's action", "step_takes_who_was_observed", "needs an action of 'caller'", (('actions.get("caller", 0)', 'actions["caller"]'),)),
    Mutant("invents absent actions", "absent_agents_rest", "for agent 'caller'", (('actions.get("caller", 0)', 'actions.get("caller", 1)'),)),
    Mutant("pops the dict", "action_unchanged", "changes the caller's action", (("        for agent in actions:\n", "        for agent in list(actions):\n"), ('actions.get("caller", 0)', 'actions.pop("caller", 0)'))),
    Mutant("action without effect", "actions_have_effect", "agent 'b' has no effect", (("int(actions[agent]) - 1", "(int(actions[agent]) - 1) * (agent == 'a')"),)),
    Mutant("order of the dict matters", "order_of_actions_is_free", "order of the dict", (before("        for agent in actions:\n", "actions = dict(zip(sorted(actions), actions.values()))"),)),
    Mutant("exchanged actions don't matter", "actions_belong_to_agents", "exchange their actions", (("int(actions[agent]) - 1", "max(int(actions[other]) for other in WALKERS if other in actions) - 1"),)),
    # Seeds and copies.
    Mutant("copies share class state", "copies_do_not_interfere", "share state", ((CLASS, f"{CLASS}    place = {{}}\n"), ("self.place = {agent: " + DRAW + " for agent in WALKERS}", "self.place.update({agent: " + DRAW + " for agent in WALKERS})"))),
    Mutant("global random numbers", "same_seed_same_episode", "np.random", ((DRAW, "int(np.random.randint(4))"),)),
    Mutant("base constructor left out", "base_constructor_called", "does not call that of MultiAgentEnv", (("from kit.multi_agent.env import MultiAgentEnv\n", "\n\nclass MultiAgentEnv(gym.Env):\n    def __init__(self):\n        self._agent_ids = set()\n"),)),
    # What one agent's contract looks at, too.
    Mutant("old random API", "reset_works", "randint", (("np_random.integers(0, 4)", "np_random.randint(4)"),)),
    Mutant("four values", "step_returns", "five values", ((RETURN, RETURN.replace(" truncated,", "")),)),
    Mutant("not written yet", "implemented", "return what each sees", (before(TIME, 'raise NotImplementedError("write step(): return what each sees")'),)),
)  # fmt: skip


def mutate(mutant: Mutant) -> str:
    """The text of the broken environment."""
    text = WALKERS
    for old, new in mutant.changes:
        assert old in text, f"the environment has no {old!r} any more"
        text = text.replace(old, new)
    return text


def test_contract_accepts_the_unbroken_environment(tmp_path: Path) -> None:
    report = check(tmp_path, WALKERS, "all")
    assert report.failures == []
    assert not [why for why in report.skipped.values() if "itself failed" in why]


@pytest.mark.parametrize("env_class", CORRECT, ids=lambda env_class: env_class.__name__)
def test_contract_accuses_no_correct_environment(env_class: type[Base], tmp_path: Path) -> None:
    report = check_class(tmp_path, env_class)
    assert report.failures == []
    assert not [why for why in report.skipped.values() if "itself failed" in why]


def test_time_limit_observes_everyone_once_more(tmp_path: Path) -> None:
    """As the one who waits for its turn is truncated as well."""
    report = check_class(tmp_path, lambda config: TimeLimit(StrictTurns(config), 7))
    assert report.failures == []
    env = TimeLimit(StrictTurns(), 1)
    first, _ = env.reset(seed=0)
    observations, _, _, truncated, _ = env.step({"x": 1})
    assert observations["x"] is first["x"] and truncated["x"] and truncated["o"] and truncated["__all__"]


def test_step_of_four_values_is_named_behind_the_time_limit(tmp_path: Path) -> None:
    class Old(Base):
        def step(self, actions: Any) -> Any:
            return super().step(actions)[:4]

    report = check_class(tmp_path, lambda config: TimeLimit(Old(config), 7), "quick")
    assert [failure.check for failure in report.blocking] == ["step_returns"]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_contract_names(mutant: Mutant, tmp_path: Path) -> None:
    found: list[Failure] = []
    for probes in ("quick", "some"):  # most are found by what `train` begins with
        if not found:
            report = check(tmp_path, mutate(mutant), probes)
            found = [failure for failure in report.failures if failure.check == mutant.fails]
    assert not [why for why in report.skipped.values() if "itself failed" in why]
    assert found, [f"{failure.check}: {failure.message}" for failure in report.failures]
    assert any(mutant.says in f"{failure.message} {failure.fix}" for failure in found)
    assert all(failure.fix for failure in report.failures)


def whole_report(folder: Path, text: str, *, quick: bool = False) -> Report:
    """Returns what the contract finds in a process of its own, as `check` and `train` run it."""
    path = folder / "environment.py"
    path.write_text(text, encoding="utf-8")
    return run_checks(f"{path}:Env", quick=quick)


def test_process_finds_out_that_there_are_several_agents(tmp_path: Path) -> None:
    report = whole_report(tmp_path, WALKERS)
    assert report.failures == [] and report.skipped.keys() == {"config_keys_used", "kit_unchanged"}
    assert report.checks_run == len(checks_of(several=True)) - 2


@pytest.mark.parametrize(
    ("name", "check"),
    [("all flag missing", "all_flag_returned"), ("NaN reward", "reward_finite"), ("no possible_agents", "possible_agents_declared")],
)  # fmt: skip
def test_training_is_not_begun_with_what_spoils_it(name: str, check: str, tmp_path: Path) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    report = whole_report(tmp_path, mutate(mutant), quick=True)
    assert check in {failure.check for failure in report.blocking}


def test_training_is_not_stopped_by_what_may_be_intended(tmp_path: Path) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "agents never shrink")
    report = whole_report(tmp_path, mutate(mutant), quick=True)
    assert report.failures and not report.blocking


def test_environment_of_several_agents_that_is_not_written_says_what_to_do(tmp_path: Path) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "not written yet")
    report = whole_report(tmp_path, mutate(mutant), quick=True)
    assert report.todo is not None and "environment.py:45: step() is still to be written" in report.todo


def test_end_of_the_process_is_told_with_its_step(tmp_path: Path) -> None:
    report = whole_report(
        tmp_path,
        WALKERS.replace(TIME, f"{TIME}        if self.time == 9:\n            import os\n            os._exit(3)\n"),
    )
    assert [failure.check for failure in report.failures] == ["process_survives"]
    assert "exit code 3 in step(), at step 9" in report.failures[0].message


def test_checks_of_one_agent_are_none_of_several() -> None:
    one, several = {*checks_of(several=False)}, {*checks_of(several=True)}
    assert "vector_batches" in one - several and "all_flag_at_the_end" in several - one
    assert len(several) >= 100


def test_check_of_several_agents_can_be_ignored() -> None:
    assert known("all_flag_not_early") == "all_flag_not_early"
    with pytest.raises(UsageError, match="did you mean 'all_flag_not_early'"):
        known("all_flag_not_erly")
