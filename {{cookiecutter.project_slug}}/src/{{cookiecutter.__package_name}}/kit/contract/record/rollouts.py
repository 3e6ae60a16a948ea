"""The few passes in which the environment plays; most judges look at what they recorded."""

import itertools
from typing import Any

import numpy as np
from gymnasium.utils.seeding import np_random

from ...spaces.membership import short
from .compare import difference, stale
from .episodes import Play
from .locations import attributes, unwrapped
from .model import Episode, NotJudged
from .plan import make_plan
from .policies import ACTION_REPEAT, RANDOM, Policy, constant_policies
from .recorder import Recorder
from .sections import Replays, Starts
from .surroundings import seed_global
from .values import digest, same, size_in_bytes

PACE_STEPS = 10  # after so many steps the pace is known
EXTRA_EPISODES = 30  # further random episodes, as long as the plan's steps last


class Rollouts:
    """The main episodes: seeds, constant actions, unseeded episodes and repetitions, one after the other on one copy.

    An episode is written down when the next one has begun: an array that only the next reset overwrites is noticed.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder, self.space = recorder, recorder.action_space()
        self._open: Play | None = None

    def record(self) -> None:
        """Plays them all, and writes each down."""
        recorder = self.recorder
        seed_global(11)
        first = self._first()
        plan = recorder.plan
        if first.has_reset:
            left = plan.total - len(first.steps)
            queue = self._programme()
            for index, (policy, seed) in enumerate(queue):
                share = max(left // (len(queue) - index), 2)
                if left <= 0 or index > plan.resets * 3:
                    break
                left -= len(self._play(policy, seed, min(plan.cap, share)).steps) + 1
            ended = any(episode.ended or episode.error for episode in recorder.episodes)
            if not ended and not recorder.quick:
                self._long_episode()
        self._write()

    def _first(self) -> Episode:
        """Plays the first episode: slowly at first, to see how much may be played at all."""
        recorder = self.recorder
        self._open = play = recorder.start(recorder.env, 0)
        first = play.episode
        recorder.episodes.append(first)
        running: Any = play.moves(10**6)
        limit = PACE_STEPS if recorder.cap is None else min(PACE_STEPS, recorder.cap)
        while not first.has_reset or len(first.steps) < limit:
            if next(running, running) is running:
                break
        speed = [step.seconds for step in first.steps]
        size = size_in_bytes(first.obs)
        recorder.plan = make_plan(speed, first.reset_seconds, size, recorder.quick, recorder.cap)
        recorder.writer.section("plan", recorder.plan)
        while first.has_reset and len(first.steps) < recorder.plan.cap and next(running, running) is not running:
            pass
        running.close()
        return first

    def _programme(self) -> list[tuple[Policy, int | None]]:
        quick = self.recorder.quick
        constants = constant_policies(self.space, limit=3 if quick else 6)
        queue: list[tuple[Policy, int | None]] = [(RANDOM, 1)]
        queue += [(policy, 2) for policy in constants]
        queue += [(ACTION_REPEAT, 3), (RANDOM, 0), *((policy, 2) for policy in constants[:1]), (RANDOM, None)]
        if quick:
            return queue
        queue += [(policy, 5) for policy in constants[-1:]]
        queue += [(ACTION_REPEAT, 3), (RANDOM, None), (ACTION_REPEAT, None), (RANDOM, None)]
        queue += [(policy, None) for policy in constants[:1]]
        seeds = range(20, 20 + EXTRA_EPISODES // 2)
        return queue + [(policy, seed) for seed in seeds for policy in (RANDOM, ACTION_REPEAT)]

    def _play(self, policy: Policy, seed: int | None, cap: int) -> Episode:
        recorder = self.recorder
        play = recorder.start(recorder.env, seed, policy, number=len(recorder.episodes) + 1)
        for _ in play.moves(cap):
            pass
        self._write()
        self._open = play
        recorder.episodes.append(play.episode)
        return play.episode

    def _write(self) -> None:
        if self._open is not None:
            self.recorder.writer.item("episodes", self._open.close())

    def _long_episode(self) -> None:
        """Plays one episode as long as time allows, where none has ended yet."""
        recorder = self.recorder
        seconds = sorted(step.seconds for episode in recorder.episodes for step in episode.steps)
        pace = seconds[len(seconds) // 2] if seconds else 1.0
        cap = next((steps for limit, steps in ((5e-5, 21_000), (2e-4, 5_000), (1e-3, 1_500)) if pace < limit), 0)
        weight = max(size_in_bytes(recorder.episodes[0].obs), 1)
        cap = min(cap, 40_000_000 // weight, cap if recorder.cap is None else recorder.cap)
        if cap > recorder.plan.cap:
            self._play(RANDOM, 6, cap)


def record_rollouts(recorder: Recorder) -> None:
    """Plays the main episodes; they are written down one by one."""
    Rollouts(recorder).record()


def record_replays(recorder: Recorder) -> Replays:
    """Plays seeds 0 and 1 on two more copies, first alone, then in turns; looks for the cause where they differ."""
    recorder.stepped()
    small = recorder.plan.small
    second = recorder.another()
    seed_global(22)
    alone = recorder.play(second, 0, small)
    recorder.play(second, 7, max(small // 10, 2), number=2)
    again = recorder.play(second, 0, small, number=3)
    third = recorder.another()
    seed_global(33)
    turns = (recorder.start(second, 1, number=4), recorder.start(third, 0))
    for _ in itertools.zip_longest(*(play.moves(small) for play in turns)):
        pass
    replays = Replays(alone, again, turns[0].close(), turns[1].close())
    recorder.release(second, third)
    replays.suspects = _suspects(recorder)
    if difference(recorder.episodes[0], alone) is not None:
        replays.only_seed_0 = _other_seeds_are_fine(recorder)
    elif stale(recorder.episodes, again) is not None:
        replays.second_seed_ignored = _second_seed_ignored(recorder)
        replays.changed = _changed_attributes(recorder)
    return replays


def _other_seeds_are_fine(recorder: Recorder) -> bool:
    """Tells whether two further fresh copies agree under other seeds than 0."""
    if recorder.slow_to_build:
        return False
    played: list[list[Episode]] = []
    for start in (77, 88):
        env = recorder.another()
        seed_global(start)
        episodes = [recorder.play(env, seed, recorder.plan.small, draws=1) for seed in range(1, 8)]
        played.append(episodes)
        recorder.release(env)
    return all(difference(left, right) is None for left, right in zip(*played, strict=True))


def _second_seed_ignored(recorder: Recorder) -> bool:
    """Tells whether fresh copies that are reset twice, with no step between, follow the first of the two seeds."""
    if recorder.slow_to_build:
        return False
    ignored = False
    for first in range(1, 6):
        env = recorder.another()
        recorder.play(env, first, 0)
        second = recorder.play(env, 0, 0, number=2)
        state = _generator_state(env)
        recorder.play(recorder.env, 0, 0)
        if state == _generator_state(recorder.env) != str(np_random(0)[0].bit_generator.state):
            return False  # the start is drawn from np_random, and np_random follows the second seed
        ignored = ignored or not same(second.obs, recorder.episodes[0].obs)
        recorder.release(env)
    return ignored


def _generator_state(env: Any) -> str | None:
    generator: Any = getattr(unwrapped(env), "_np_random", None)
    return str(generator.bit_generator.state) if hasattr(generator, "bit_generator") else None


def _suspects(recorder: Recorder) -> list[str]:
    """Returns where chance may come from, as far as the environment's objects tell."""
    env, found = unwrapped(recorder.env), []
    for name in ("action_space", "observation_space"):
        state = getattr(getattr(env, name, None), "_np_random", None)
        before = getattr(recorder.first_spaces.get(name), "_np_random", None)
        if state is not None and (before is None or before.bit_generator.state != state.bit_generator.state):
            found.append(f"it draws from {name}.sample(), which reset(seed=...) does not seed")
    if callable(getattr(env, "seed", None)):
        found.append("it has an old seed() method, which nobody calls")
    if getattr(env, "_np_random_seed", None) in (None, -1):
        found.append("reset() does not call super().reset(seed=seed)")
    return found


def _changed_attributes(recorder: Recorder) -> list[str]:
    """Returns the attributes that differ between a used and a fresh copy: candidates for what leaks."""
    policy = (constant_policies(recorder.action_space(), 2)[-1:] or [RANDOM])[0]
    recorder.play(recorder.env, 0, 4, policy)
    fresh, kinds = attributes(recorder.another()), (int, float, str, bool, list, dict, tuple, set, np.ndarray)
    return [
        name
        for name, value in attributes(recorder.env).items()
        if isinstance(value, kinds) and not name.startswith("_np_random") and short(fresh.get(name)) != short(value)
    ]


def record_starts(recorder: Recorder) -> Starts:
    """Starts episodes with different seeds, without seeds, and on fresh copies without any seed."""
    if not recorder.episodes[0].has_reset:
        raise NotJudged("reset() raises")
    count, steps = recorder.plan.resets, min(recorder.plan.small, 8)

    def fingerprint(env: Any, seed: int | None) -> tuple[int, ...]:
        episode = recorder.play(env, seed, steps, draws=5)
        return tuple(digest(obs) for _, obs in episode.observations())

    starts = Starts()
    seed_global(44)
    starts.seeded = [fingerprint(recorder.env, seed) for seed in range(40, 40 + count)]
    starts.unseeded = [fingerprint(recorder.env, None) for _ in range(count)]
    if not recorder.slow_to_build and not recorder.quick:
        for number in range(3):
            seed_global(55 + number)
            env = recorder.another()
            resets = [fingerprint(env, None) for _ in range(max(count // 2, 2))]
            starts.fresh.append(tuple(itertools.chain(*resets)))
            recorder.release(env)
    return starts
