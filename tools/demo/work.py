"""A candidate's work, as actions that the client's events or the agent's requests then record."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from tools.demo.repository import Files
from tools.demo.tasks import Task, read

SMALL_TALK = read("small_talk.yaml")
CASES = "tests/cases.py"


class Plan(NamedTuple):
    """Parameters of a candidate's work.

    level -- 1 to 3: limits the task's steps
    rounds -- prompts in addition to the steps
    flaw_probability -- probability that the agent's first attempt at a step is flawed
    manual_edits -- number of changes without the agent
    corrects -- whether flawed attempts are corrected
    cases -- number of test cases added at the end, for a very long session
    """

    level: int
    rounds: int
    flaw_probability: float
    manual_edits: int
    corrects: bool = True
    cases: int = 0


class Action(NamedTuple):
    """One action, `pause` seconds after the previous one."""

    pause: float
    kind: str
    data: dict[str, Any]


def todos(names: list[str], done: int) -> list[dict[str, str]]:
    """Build an agent's to-do list with the first `done` entries completed."""
    states = ["completed"] * done + ["in_progress"] + ["pending"] * len(names)
    return [{"content": name, "status": state} for name, state in zip(names, states, strict=False)]


class Work:
    """A candidate's `actions`, and the resulting `files`. The same seed produces the same work."""

    def __init__(self, task: Task, plan: Plan, seed: int):
        self.task, self.plan = task, plan
        self.files: Files = dict(task.files)
        self._passes, self._failure = True, "1 test failed"
        self._random = random.Random(seed)
        self.actions = [*self._actions()]

    @property
    def seconds(self) -> float:
        return sum(action.pause for action in self.actions)

    def _actions(self) -> Iterator[Action]:
        yield self._action(2, "start")
        steps = [step for step in self.task["steps"] if step.get("level", 1) <= self.plan.level]
        edits = self.task["manual_edits"]
        edits = self._random.sample(edits, k=min(self.plan.manual_edits, len(edits)))
        names = [step["name"].replace("-", " ").capitalize() for step in steps]
        for number, step in enumerate(steps):
            # Careless candidates do not ask for a to-do list.
            todo = [self._action(9, "todo", names=names, done=number)] if self.plan.level > 1 else []
            yield from self._step(step, todo)
            share = self.plan.rounds * (number + 1) // len(steps) - self.plan.rounds * number // len(steps)
            for _ in range(share):
                yield from self._small_talk()
            if number and edits:
                yield from self._edit_manually(edits.pop())
        for edit in edits:
            yield from self._edit_manually(edit)
        for number in range(self.plan.cases):
            yield from self._add_case(number)
        yield from self._run_tests("manual_run")

    def _step(self, step: dict[str, Any], todo: list[Action]) -> Iterator[Action]:
        edits = step.get("edits", [])
        yield self._action(150, "prompt", text=self._random.choice(step["prompts"]))
        yield from todo
        if "search" in step:
            yield self._action(5, "search", pattern=step["search"], count=self._random.randint(2, 6))
        for path in step.get("reads", []):
            if path in self.files:
                yield self._read(path)
        is_flawed = any("flawed" in edit for edit in edits) and (
            not self.plan.corrects or self._random.random() < self.plan.flaw_probability
        )
        for edit in edits:
            new = edit.get("flawed" if is_flawed else "new", edit["new"])
            yield self._replace(edit["path"], edit.get("old"), new, "change")
        if "command" in step:
            yield self._action(25, "run", command=step["command"], code=0, output=step["output"])
        if edits:
            self._passes = not is_flawed and not step.get("fails")
            yield from self._run_tests("run", step.get("failure"))
        yield self._say(step["reply"])
        if is_flawed and self.plan.corrects:
            yield from self._correct(step)
        if self.plan.level > 1 and "decision" in step and self._random.random() < 0.8:
            yield self._action(70, "decision", **step["decision"])

    def _correct(self, step: dict[str, Any]) -> Iterator[Action]:
        yield from self._run_tests("manual_run", step["failure"])
        yield self._action(110, "prompt", text=self._random.choice(step["correction"]))
        for edit in step["edits"]:
            if "flawed" in edit:
                yield self._read(edit["path"])
                yield self._replace(edit["path"], edit["flawed"], edit["new"], "change")
        self._passes = True
        yield from self._run_tests("run")
        yield self._say("You are right. I fixed it, and all tests pass now.")

    def _edit_manually(self, edit: dict[str, Any]) -> Iterator[Action]:
        old = edit.get("old")
        if old is None or old in self.files.get(edit["path"], ""):
            yield self._replace(edit["path"], old, edit["new"], "manual_change")

    def _replace(self, path: str, old: str | None, new: str, kind: str) -> Action:
        before = self.files.get(path)
        if old is None or before is None:
            self.files[path] = new
        else:
            assert old in before, f"{self.task.name}: {path} does not contain {old!r}."
            self.files[path] = before.replace(old, new, 1)
        pause = 95 if kind == "manual_change" else 14
        return self._action(pause, kind, path=path, before=before, after=self.files[path], old=old, new=new)

    def _small_talk(self) -> Iterator[Action]:
        talk = self._random.choice(SMALL_TALK)
        yield self._action(170, "prompt", text=talk["text"])
        yield self._read(self._random.choice([*self.files] or ["TASK.md"]))
        if "command" in talk:
            yield self._action(8, "run", command=talk["command"], code=0, output=talk["output"])
        if "command" not in talk or self._random.random() < 0.4:
            yield from self._run_tests(self._random.choice(("run", "manual_run")))
        yield self._say(talk["reply"])

    def _add_case(self, number: int) -> Iterator[Action]:
        """Add a case to a table of tests."""
        capacity, seats = self._random.randint(10, 500), self._random.randint(1, 9)
        if number % 5 == 0:
            text = f"Add cases for workshops with about {capacity} seats to the table."
            yield self._action(30, "prompt", text=text)
            yield self._action(4, "search", pattern="CASES", count=2)
        for path in self._random.sample(sorted(self.files), k=3):
            yield self._read(path, pause=3)
        before = self.files.get(CASES, '"""Capacities, groups and free seats."""\n\nCASES = [\n]\n')
        line = f"    ({capacity}, {seats}, {capacity - seats}),\n"
        kind = "manual_change" if self._random.random() < 0.2 else "change"
        yield self._replace(CASES, None, before.replace("]\n", f"{line}]\n"), kind)._replace(pause=5)
        yield from self._run_tests("manual_run" if number % 3 == 0 else "run", pause=7)
        if number % 5 == 4:
            yield self._say("The table has five more cases.")

    def _run_tests(self, kind: str, failure: str | None = None, pause: float = 18) -> Iterator[Action]:
        tests = self.task["tests"]
        count = sum(text.count(tests["marker"]) for text in self.files.values())
        if not count:
            return
        self._failure = failure or self._failure
        passed = tests["passed"].format(count=count, digit=self._random.randint(2, 9))
        code, output = (0, passed) if self._passes else (1, self._failure)
        command = self._random.choice(tests["commands"])
        yield self._action(pause, kind, command=command, code=code, output=output)

    def _read(self, path: str, pause: float = 7) -> Action:
        return self._action(pause, "read", path=path, content=self.files.get(path, ""))

    def _say(self, text: str) -> Action:
        usage = {
            "inputTokens": self._random.randint(300, 4000),
            "outputTokens": self._random.randint(200, 1900),
            "cacheReadTokens": self._random.randint(18_000, 90_000),
        }
        return self._action(16, "say", text=" ".join(text.split()), usage=usage)

    def _action(self, seconds: float, kind: str, **data: Any) -> Action:
        pause = seconds * self._random.uniform(0.4, 1.8)
        return Action(round(max(pause, 0.4), 3), kind, data)
