"""The service with a clock that tests move: the seconds in the file CLOCK_FILE are added to the time."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app import create_app
from models.base import Clock, clock

CLOCK_FILE = Path(os.environ["CLOCK_FILE"])


class MovedClock(Clock):
    @property
    def fixed(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(CLOCK_FILE.read_text()))


# All tables share the instance.
clock.__class__ = MovedClock

__all__ = ["create_app"]
