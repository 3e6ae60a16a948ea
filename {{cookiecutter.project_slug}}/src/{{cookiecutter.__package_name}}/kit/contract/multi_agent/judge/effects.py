"""What actions bring about, told by playing an episode again with others."""

from itertools import combinations

from gymnasium import spaces

from ....spaces.membership import short
from ...judge.registry import ONLY, Finding, Findings, check
from ...record.env_record import EnvRecord
from .common import named

ENOUGH_TRIES, LASTING_STEPS = 3, 5


@check(fix="look actions up by agent ID: actions[agent], never by their order", at="step", several=ONLY)
def order_of_actions_is_free(record: EnvRecord) -> Findings:
    """`step` does the same in whatever order the dict of actions comes: RLlib groups them by policy."""
    found = record.variations.shuffled
    if found is not None:
        yield f"the order of the dict of actions matters: reversed, it gives another {found.shown('as it was', 'reversed')}"


@check(fix="check how step() reads the action of this agent", at="step", mild=True, several=ONLY)
def actions_have_effect(record: EnvRecord) -> Findings:
    """Each agent's action changes an observation, a reward or an end, its own or another's."""
    idle = []
    for agent, effect in record.variations.effects.items():
        space = record.space("action_spaces")[agent]
        chosen = not isinstance(space, spaces.Discrete) or int(space.n) > 1
        without = not any(effect.seen_by.values()) and not effect.rewarded and not effect.ended
        idle += [agent] if chosen and without and effect.tries >= ENOUGH_TRIES else []
    if idle:
        yield f"the action of agent {named(idle)} has no effect: other ones changed nothing for anybody"


@check(fix="give each agent its own: {agent: self._observe(agent) for agent in self.agents}", at="step", mild=True,
       once=True, several=ONLY)  # fmt: skip
def observations_not_exchanged(record: EnvRecord) -> Findings:
    """What an agent does, it sees itself; where only another one does, their observations may be exchanged."""
    effects = {agent: one for agent, one in record.variations.effects.items() if one.tries >= ENOUGH_TRIES}
    seen = record.space("observation_spaces")
    for one, two in combinations(effects, 2):
        lasting = [effects[a].seen_by.get(b, 0) >= LASTING_STEPS for a, b in ((one, two), (two, one))]
        itself = [effects[agent].seen_by.get(agent, 0) for agent in (one, two)]
        if all(lasting) and not any(itself) and seen[one] == seen[two]:
            text = f"the observations of {one!r} and {two!r} look exchanged: what {one!r} does only {two!r} sees, and"
            yield f"{text} the other way round"


@check(fix="look each action up by its own agent's ID: actions[agent]", at="step", mild=True, several=ONLY)
def actions_belong_to_agents(record: EnvRecord) -> Findings:
    """Two agents that see different things and exchange their actions get another episode."""
    for one, two in record.variations.swapped[:1]:
        text = f"it makes no difference when {one!r} and {two!r} exchange their actions, although they see different things"
        yield text


@check(fix="let an agent rest that is not in the dict: if agent in actions: ...", at="step", mild=True, several=ONLY)
def absent_agents_rest(record: EnvRecord) -> Findings:
    """`step` invents no action for an agent that was not observed."""
    absent = record.variations.absent
    if absent is not None:
        place, action = absent.episode.at(absent.number), short(absent.action)
        text = f"step() takes action {action} for agent {absent.agent!r} {place}, who was not observed and did not act"
        yield Finding(text)
