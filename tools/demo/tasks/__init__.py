"""The demo's tasks: what candidates are asked, the code they start from, and the steps of the work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
NAMES = ("retries", "search", "totals")


@dataclass(frozen=True)
class Task:
    """A task; `members` are those of the file, `files` the code to start from by path."""

    name: str
    members: dict[str, Any]
    files: dict[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.members[name]

    @property
    def steps(self) -> list[dict[str, Any]]:
        return self.members["steps"]


def load(name: str) -> Task:
    members = _read(f"{name}.yaml")
    files = members["files"] if "files" in members else _read(members["repository"])["files"]
    return Task(name, members, files)


def _read(file: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))
