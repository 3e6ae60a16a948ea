"""Who acts for whom: change it here to share policies, to separate them, or to put something fixed among them."""

from typing import Any


def policy_of(agent: Any) -> Any:
    """Returns what acts for an agent, asked once for each of `possible_agents`.

    | return | acts |
    |---|---|
    | `"carrier"` | a policy that is trained; agents with the same name share it, and need equal spaces |
    | `agent` | one that is trained for this agent alone |
    | a function, such as `lambda observation: 0` | it: a rule of yours, or `load_policy("first").policies["carrier"]` |
    | `PastSelf("carrier")`, of `.kit.multi_agent` | a snapshot of that policy from earlier in the run, for an episode |
    """
    return agent.partition("_")[0]  # "carrier" for both carriers, "scout"
