"""The contract of environments of several agents: what is recorded, and checked, beyond those of one agent.

model.py, play.py, about.py, variations.py   the child: plays with dicts by agent ID
views.py                                     each agent's part, as the episodes that the checks of one agent judge
judge/                                       the checks of what only several agents have
"""
