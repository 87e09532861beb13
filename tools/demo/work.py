"""The work of one candidate, as actions that no channel has recorded yet: the same for the same seed."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from tools.demo.repository import Files
from tools.demo.tasks import Task, read

PASSED = "{count} passed in 0.0{digit}s"
SMALL_TALK = read("small_talk.yaml")
CASES = "tests/cases.py"


class Plan(NamedTuple):
    """A candidate's way of working.

    level -- 1 to 3: how many of the task's steps they take
    rounds -- further prompts between the steps
    pace -- factor of all pauses
    slips -- probability that the agent's first attempt at a step is flawed
    by_hand -- number of changes without the agent
    corrects -- whether flawed attempts are corrected
    cases -- rounds about further test cases at the end, for a very long session
    """

    level: int
    rounds: int
    pace: float
    slips: float
    by_hand: int
    corrects: bool = True
    cases: int = 0


class Action(NamedTuple):
    """One action, some seconds after the one before."""

    pause: float
    kind: str
    data: dict[str, Any]


def todos(names: list[str], done: int) -> list[dict[str, str]]:
    """The entries of an agent's to-do list, the first `done` of them completed."""
    states = ["completed"] * done + ["in_progress"] + ["pending"] * len(names)
    return [{"content": name, "status": state} for name, state in zip(names, states, strict=False)]


class Work:
    """`actions`, and the `files` at their end."""

    def __init__(self, task: Task, plan: Plan, seed: int):
        self.task, self.plan = task, plan
        self.files: Files = dict(task.files)
        self.passes, self.tests = True, int(task["start"].split()[0]) if task.files else 0
        self._failure = "1 failed in 0.05s"
        self._random = random.Random(seed)
        self.actions = [*self._actions()]

    @property
    def seconds(self) -> float:
        return sum(action.pause for action in self.actions)

    def _actions(self) -> Iterator[Action]:
        yield self._action(2, "start")
        steps = [step for step in self.task.steps if step.get("level", 1) <= self.plan.level]
        hands = self._random.sample(self.task["by_hand"], k=min(self.plan.by_hand, len(self.task["by_hand"])))
        for number, step in enumerate(steps):
            yield from self._step(step, self._todo(steps, number))
            share = self.plan.rounds * (number + 1) // len(steps) - self.plan.rounds * number // len(steps)
            for _ in range(share):
                yield from self._small_talk()
            if number and hands:
                yield from self._change_by_hand(hands.pop())
        for change in hands:
            yield from self._change_by_hand(change)
        for number in range(self.plan.cases):
            yield from self._case(number)
        yield from self._run_tests("person")

    def _todo(self, steps: list[dict[str, Any]], done: int) -> list[Action]:
        """The agent's list of the steps; careless candidates do not ask for one."""
        names = [step["name"].replace("-", " ").capitalize() for step in steps]
        return [self._action(9, "todo", names=names, done=done)] if self.plan.level > 1 else []

    def _step(self, step: dict[str, Any], todo: list[Action]) -> Iterator[Action]:
        edits = step.get("edits", [])
        yield self._action(150, "prompt", text=self._random.choice(step["prompts"]))
        yield from todo
        yield from self._look(step)
        is_flawed = any("flawed" in edit for edit in edits) and (
            not self.plan.corrects or self._random.random() < self.plan.slips
        )
        yield from self._change(edits, "flawed" if is_flawed else "new")
        if "command" in step:
            yield self._action(25, "run", command=step["command"], code=0, output=step["output"])
        if edits:
            self.tests += sum(
                edit["new"].count("def test_") - edit.get("old", "").count("def test_") for edit in edits
            )
            self.passes = not is_flawed and not step.get("fails")
            yield from self._run_tests("agent", step.get("failure"))
        yield self._say(step["reply"])
        if is_flawed and self.plan.corrects:
            yield from self._correct(step)
        if self.plan.level > 1 and "decision" in step and self._random.random() < 0.8:
            yield self._action(70, "decision", **step["decision"])

    def _look(self, step: dict[str, Any]) -> Iterator[Action]:
        if "search" in step:
            yield self._action(5, "search", pattern=step["search"], count=self._random.randint(2, 6))
        for path in step.get("reads", []):
            if path in self.files:
                yield self._read(path)

    def _correct(self, step: dict[str, Any]) -> Iterator[Action]:
        yield from self._run_tests("person", step["failure"])
        yield self._action(110, "prompt", text=self._random.choice(step["correction"]))
        for edit in step["edits"]:
            if "flawed" in edit:
                yield self._read(edit["path"])
                yield self._replace(edit["path"], edit["flawed"], edit["new"], "change")
        self.passes = True
        yield from self._run_tests("agent")
        yield self._say("You are right. I corrected it, and all tests pass now.")

    def _change(self, edits: list[dict[str, Any]], version: str) -> Iterator[Action]:
        for edit in edits:
            yield self._replace(edit["path"], edit.get("old"), edit.get(version, edit["new"]), "change")

    def _change_by_hand(self, edit: dict[str, Any]) -> Iterator[Action]:
        old = edit.get("old")
        if old is None or old in self.files.get(edit["path"], ""):
            yield self._replace(edit["path"], old, edit["new"], "change_by_hand")

    def _replace(self, path: str, old: str | None, new: str, kind: str) -> Action:
        before = self.files.get(path)
        if old is None or before is None:
            self.files[path] = new
        else:
            assert old in before, f"{self.task.name}: {path} does not contain {old!r}."
            self.files[path] = before.replace(old, new, 1)
        pause = 95 if kind == "change_by_hand" else 14
        return self._action(pause, kind, path=path, before=before, after=self.files[path], old=old, new=new)

    def _small_talk(self) -> Iterator[Action]:
        talk = self._random.choice(SMALL_TALK)
        yield self._action(170, "prompt", text=talk["text"])
        yield self._read(self._random.choice([*self.files] or ["TASK.md"]))
        if "command" in talk:
            yield self._action(8, "run", command=talk["command"], code=0, output=talk["output"])
        if "command" not in talk or self._random.random() < 0.4:
            yield from self._run_tests(self._random.choice(("agent", "person")))
        yield self._say(talk["reply"])

    def _case(self, number: int) -> Iterator[Action]:
        """Another case in a table of tests, by the agent or by hand."""
        price, quantity = self._random.randint(95, 4999), self._random.randint(1, 9)
        if number % 5 == 0:
            yield self._action(
                30, "prompt", text=f"Add cases for orders of about {price // 100} euros to the table."
            )
            yield self._action(4, "search", pattern="CASES", count=2)
        for path in self._random.sample(sorted(self.files), k=3):
            yield self._read(path, pause=3)
        before = self.files.get(CASES, '"""Prices, quantities and totals."""\n\nCASES = [\n]\n')
        line = f"    ({price}, {quantity}, {price * quantity}),\n"
        kind = "change_by_hand" if self._random.random() < 0.2 else "change"
        yield self._replace(CASES, None, before.replace("]\n", f"{line}]\n"), kind)._replace(pause=5)
        yield from self._run_tests("person" if number % 3 == 0 else "agent", pause=7)
        if number % 5 == 4:
            yield self._say("The table has five more cases.")

    def _run_tests(self, who: str, failure: str | None = None, pause: float = 18) -> Iterator[Action]:
        if not self.tests:
            return
        output = PASSED.format(count=self.tests, digit=self._random.randint(2, 9))
        code = 0 if self.passes else 1
        self._failure = failure or self._failure
        command = self._random.choice(("python -m pytest -q", "pytest -q", "python -m pytest -q -x"))
        kind = "run" if who == "agent" else "run_by_hand"
        yield self._action(pause, kind, command=command, code=code, output=self._failure if code else output)

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
        pause = seconds * self.plan.pace * self._random.uniform(0.4, 1.8)
        return Action(round(max(pause, 0.4), 3), kind, data)
