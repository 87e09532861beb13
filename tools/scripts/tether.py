"""Run a command that ends when its parent ends: python tether.py PARENT_PID SIGNAL USER COMMAND ...

Linux sends SIGNAL (a name such as SIGTERM) to the command when the process PARENT_PID dies, even by kill -9.
Elsewhere the command simply runs. COMMAND begins with a full path. USER is who runs it; `-` changes nothing.

This is a program of its own, and not a function that subprocess calls between fork and exec, because that is
not safe in a parent with threads.
"""

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: str, signal_name: str, user: str, *command: str) -> None:
    if user != "-":
        become(user)
    if sys.platform == "linux":
        # After the change of user, which would take it back.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.Signals[signal_name])
        # A parent that died before that line sends no signal any more.
        if os.getppid() != int(parent):
            sys.exit(1)
    # Not execvp, which may have to load more of Python, from where USER may not enter.
    os.execv(command[0], command)


def become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


if __name__ == "__main__":
    main(*sys.argv[1:])
