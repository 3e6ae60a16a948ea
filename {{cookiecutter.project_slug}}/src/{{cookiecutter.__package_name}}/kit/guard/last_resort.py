"""Ends a process in which C code keeps Python's global lock for good; run by the watchdog, as a process of its own.

It reads what that process writes: ALIVE as long as its watchdog runs, else the stacks of all threads, again and again.
The stacks must come twice: a process that was suspended (Ctrl-Z, a closed laptop) writes them once, as it goes on.
"""

import os
import sys

ALIVE = "alive\n"


def watch(process: int, calls: str, path: str) -> None:
    """Reads until the process has ended, or has to be.

    Args:
        process: its number.
        calls: the file that is in the stack while the environment is called.
        path: where the report goes; "" is the terminal.
    """
    dump = ""
    for line in sys.stdin:
        if line.startswith("Timeout (") and calls in dump:
            with open(path or sys.stderr.fileno(), "w", encoding="utf-8") as file:
                file.write("" if path else "ERROR: ")
                file.write(f"the environment hangs in a call that does not let Python run\n{dump}")
            os.kill(process, 9)
            return
        dump = "" if line == ALIVE else dump + line


if __name__ == "__main__":
    watch(int(sys.argv[1]), *sys.argv[2:])
