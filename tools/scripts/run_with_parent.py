"""Run a command that exits with its parent: python run_with_parent.py PARENT_PID SIGNAL USER COMMAND ...

On Linux, COMMAND receives SIGNAL (such as SIGTERM) when the process PARENT_PID dies, even by kill -9. Its path is
absolute. It runs as USER; `-` keeps the current user.

A separate program, because `preexec_fn` is not safe in a parent with threads.
"""

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def with_parent(command: list, signal_name: str = "SIGKILL", user: str = "-") -> list:
    """Return the command line that runs `command` no longer than this process."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), signal_name, user, *command]


def main(parent: str, signal_name: str, user: str, *command: str) -> None:
    if user != "-":
        switch_user(user)
    if sys.platform == "linux":
        # After switch_user, because a change of user clears the setting.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.Signals[signal_name])
        # The parent can already have exited.
        if os.getppid() != int(parent):
            sys.exit(1)
    # execvp could import Python modules from folders that USER cannot read.
    os.execv(command[0], command)


def switch_user(name: str) -> None:
    entry = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


if __name__ == "__main__":
    main(*sys.argv[1:])
