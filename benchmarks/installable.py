"""Environments that anyone can install: correct as far as their many users know, and mutants of five of them."""

from typing import NamedTuple

from mutants import MUTANTS


class Installable(NamedTuple):
    """An environment, and what is wrong with it."""

    library: str
    target: str  # an ID, with the module that registers it, or a module of PettingZoo
    mistake: str | None = None
    expect: str = ""  # a pattern that a message must match to name the mistake
    control: str = ""  # the same environment without the mistake


LIBRARIES = {
    "classic control": "CartPole-v1 Acrobot-v1 MountainCar-v0 MountainCarContinuous-v0 Pendulum-v1",
    "toy text": "Blackjack-v1 CliffWalking-v1 FrozenLake-v1 Taxi-v3",
    "Box2D": "LunarLander-v3 LunarLanderContinuous-v3 BipedalWalker-v3 CarRacing-v3",
    "MuJoCo": "Ant-v5 HalfCheetah-v5 Hopper-v5 Humanoid-v5 InvertedPendulum-v5 InvertedDoublePendulum-v5 Pusher-v5 "
    "Reacher-v5 Swimmer-v5 Walker2d-v5",
    "MiniGrid": "minigrid:MiniGrid-Empty-8x8-v0 minigrid:MiniGrid-DoorKey-5x5-v0 "
    "minigrid:MiniGrid-Dynamic-Obstacles-6x6-v0 minigrid:BabyAI-GoToLocal-v0",
    "highway-env": "highway_env:highway-fast-v0 highway_env:parking-v0 highway_env:intersection-v0 "
    "highway_env:racetrack-v0",
    "MinAtar": "register_minatar:MinAtar/Breakout-v1 register_minatar:MinAtar/SpaceInvaders-v1",
    "ALE": "ale_py:ALE/Breakout-v5 ale_py:ALE/Pong-v5",
    "PettingZoo": "pettingzoo.classic.rps_v2 pettingzoo.butterfly.cooperative_pong_v6 "
    "pettingzoo.butterfly.knights_archers_zombies_v11 pettingzoo.butterfly.pistonball_v6 pettingzoo.sisl.pursuit_v5 "
    "pettingzoo.sisl.multiwalker_v9",
}
CORRECT = [Installable(library, target) for library, targets in LIBRARIES.items() for target in targets.split()]
BROKEN = [
    Installable(name, f"mutants:{mutant}", mistake.__name__, mistake.says, f"mutants:{name}/Unbroken-v0")
    for mutant, (name, mistake) in MUTANTS.items()
    if mistake.says
]
INSTALLABLE = [*CORRECT, *BROKEN]
