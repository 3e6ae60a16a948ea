"""Ends a process in which C code keeps Python's global lock for good; run by the watchdog, as a process of its own.

It reads what that process writes: ALIVE as long as its watchdog runs, else the stacks of all threads, again and again.
The stacks must come twice: a process that was suspended (Ctrl-Z, a closed laptop) writes them once, as it goes on.
"""

import os
import sys

ALIVE = b"alive\n"


def watch(process: int, calls: str, path: str) -> None:
    """Reads until the process has ended, or has to be.

    Args:
        process: its number.
        calls: the file that is in the stack while the environment is called.
        path: where the stack goes; "" is the terminal.
    """
    dump: list[str] = []
    for line in sys.stdin.buffer:
        if line == ALIVE:
            dump = []
            continue
        text = "".join(dump)
        if line.startswith(b"Timeout (") and calls in text:
            if path:
                with open(f"{path}.new", "w", encoding="utf-8") as file:
                    file.write(text)
                os.rename(f"{path}.new", path)
            else:
                print(f"ERROR: the environment hangs in a call that does not let Python run\n{text}", file=sys.stderr)
            os.kill(process, 9)
            return
        dump.append(line.decode(errors="replace"))


if __name__ == "__main__":
    watch(int(sys.argv[1]), *sys.argv[2:])
