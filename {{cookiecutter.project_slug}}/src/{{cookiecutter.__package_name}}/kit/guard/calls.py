"""What Guard and VectorGuard share: calls into an environment that can fail or hang, and a look at what comes back."""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import BrokenEpisode, RunError
from ..spaces.membership import problems
from ..spaces.predicate import predicate, without_float_bounds
from ..tracebacks import users_traceback
from .child_log import PREFIX, count_out_of_bounds, keep_log
from .failure import EnvironmentFailure
from .watchdog import watchdog_of

STRICT = f"{PREFIX}_STRICT"  # an environment variable: "1" ends a run on an observation of floats out of bounds, too
LONG_EPISODE_STEPS = 50_000  # an episode that takes longer is most likely one that never ends
LONG_EPISODE = "does it ever end?"
OUT_OF_BOUNDS = "out of bounds"
ONCE_A_RUN = (LONG_EPISODE, OUT_OF_BOUNDS)  # every process logs a line with one of these; the driver shows the first

logger = logging.getLogger(__name__)
_logged: set[str] = set()


class EnvironmentCalls:
    """Calls the environment, and raises EnvironmentFailure for what would only spoil training."""

    def _prepare(self, env: Any, name: str, strict: bool | None) -> None:
        """Readies the calls.

        Args:
            env: the environment in its own spaces.
            name: of what it returns, for messages.
            strict: also refuses floats out of bounds; None leaves it to the environment variable STRICT.
        """
        self._space, self._name = env.observation_space, name
        self._is_inside = predicate(self._space)
        self._is_sound = predicate(without_float_bounds(self._space))
        self._is_strict = os.environ.get(STRICT) == "1" if strict is None else strict
        self._watchdog = watchdog_of(os.getpid())
        keep_log(type(env.unwrapped).__module__.partition(".")[0])

    def _call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Returns what the environment's `reset` or `step` returns; the watchdog sees how long it takes.

        Raises:
            EnvironmentFailure: it raises, exits, or returns an observation that training can't go on with.
            BrokenEpisode: it raises that.
        """
        watchdog = self._watchdog
        watchdog.caller, watchdog.since = threading.get_ident(), time.monotonic()
        try:
            returned = function(*arguments, **options)
        except BrokenEpisode:
            raise
        except RunError as error:  # says itself what happened
            what, _, details = str(error).partition("\n")
            raise self._failure(what.removesuffix(":"), details) from error
        except (Exception, SystemExit) as error:
            raise self._failure("the environment raised an exception", users_traceback(error)) from error
        finally:
            watchdog.since = None
        if not self._is_inside(returned[0]):
            self._judge(returned[0])
        return returned

    def _judge(self, observation: Any) -> None:
        """Counts an observation of floats out of bounds, which the policy normalises; raises for all that is worse.

        Another dtype is no fault: the adapters convert it.
        """
        if not self._is_sound(observation) or self._is_strict:
            for problem in problems(self._space, observation, self._name):
                if problem.kind != "dtype":
                    raise self._failure(f"{problem.message}; {problem.fix}")
            return
        count_out_of_bounds(self._number_out_of_bounds(observation))
        if OUT_OF_BOUNDS not in _logged:
            problem = next(problems(self._space, observation, self._name))
            log_once(
                OUT_OF_BOUNDS,
                f"an observation is {OUT_OF_BOUNDS}: {problem.message}, {self._where()}. Training goes on, since "
                f"observations are normalised; {problem.fix}. --strict ends the run instead",
            )

    def _number_out_of_bounds(self, observation: Any) -> int:
        return 1

    def _watch_length(self, steps: int) -> None:
        """Warns of an episode that may never end; to be called with the steps of the longest one."""
        if steps == LONG_EPISODE_STEPS:
            log_once(
                LONG_EPISODE,
                f"an episode has taken {LONG_EPISODE_STEPS:,} steps; {LONG_EPISODE} "
                "No return is known before it does. A time limit (max_episode_steps) would end it",
            )

    def _failure(self, what: str, details: str = "") -> EnvironmentFailure:
        """Returns the exception, with all that is known of how to see the failure again."""
        message = f"{what}, {self._where()}"
        return EnvironmentFailure({"message": f"{message}:\n{details}" if details else message, **self._facts()})

    def _where(self) -> str:
        """Says which call it is."""
        raise NotImplementedError

    def _facts(self) -> dict[str, Any]:
        """Returns what plays it again, as JSON values."""
        return {}


def log_once(mark: str, text: str) -> None:
    """Logs a warning with one of ONCE_A_RUN in it, unless this process has."""
    if mark not in _logged:
        _logged.add(mark)
        logger.warning(text)
