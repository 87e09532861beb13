"""A program in a terminal, with a user who reads its screen and types."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path
from typing import Self

from tests.live.service import wait_until

ROWS, COLUMNS = 50, 160
# Colors, cursor movements and titles.
CONTROL = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?<>=]*[ -/]*[@-~]|\x1b[=>()][0-9A-B]?")
READ_BYTES = 65_536
ESCAPE, ENTER = "\x1b", "\r"
TIMEOUT_SECONDS = 60
IDLE_SECONDS = 1
NOTE_CHARACTERS = 2000


class Terminal:
    """Runs a command until it exits, or until the `with` block ends."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]):
        self.output, self.drawn_at = b"", time.monotonic()
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self.master, READ_BYTES):
                self.output += data
                self.drawn_at = time.monotonic()
        except OSError:
            pass  # The program has exited.

    def wait_for(self, text: str) -> None:
        """Wait until the text appears, ignoring spaces, which programs replace with cursor movements."""
        expected = "".join(text.split())
        try:
            wait_until(lambda: expected in self._new_text(), f"{text!r} did not appear.", TIMEOUT_SECONDS)
        except AssertionError as missing:
            missing.add_note(f"The end of the screen: {self._new_text()[-NOTE_CHARACTERS:]}")
            raise

    def type(self, keys: str, *, is_animated: bool = False) -> None:
        """Press keys once the screen is idle: while it draws, a program ignores them. Clears the output.

        is_animated -- whether the program keeps drawing
        """
        if not is_animated:
            wait_until(
                lambda: time.monotonic() - self.drawn_at > IDLE_SECONDS,
                "The screen kept changing.",
                TIMEOUT_SECONDS,
            )
        self.output, self.drawn_at = b"", time.monotonic()
        os.write(self.master, keys.encode())

    def wait_for_exit(self) -> None:
        self.process.wait(TIMEOUT_SECONDS)

    def _new_text(self) -> str:
        return "".join(CONTROL.sub("", self.output.decode(errors="replace")).split())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
