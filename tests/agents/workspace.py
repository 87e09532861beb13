"""A scenario's files, and the conversation that several scenarios share.

The script's calls change the files on the disk; the methods here change them in memory.
"""

import difflib
from pathlib import Path
from typing import Any

from tests.agents.script import Answer, Conversation, Event, Prompt

FIX = "add() in calc.py gives wrong results. Find out why and fix it."
MULTIPLY = "Now add multiply() with a test."
COUNT = "Count the functions in calc.py and report the number."

CALC = '''"""Sums."""


def add(a, b):
    return a - b


def total(numbers):
    result = 0
    for number in numbers:
        result = add(result, number)
    return result
'''
TEST_CALC = """import unittest

import calc


class CalcTest(unittest.TestCase):
    def test_add(self):
        self.assertEqual(calc.add(2, 3), 5)
"""
FILES = {
    "calc.py": CALC,
    "test_calc.py": TEST_CALC,
    "README.md": "# Calc\n\nAdds numbers.\n",
    "terms.txt": "größer als null\nSumme: größer als null\n",
    "notes.txt": "größer als null\nSumme: größer als null",  # without a final newline
}
# Edits: the file, the old text, the new text.
ADD_MULTIPLY = (
    ("calc.py", "def total", "def multiply(a, b):\n    return a * b\n\n\ndef total"),
    (
        "test_calc.py",
        "        self.assertEqual(calc.add(2, 3), 5)\n",
        "        self.assertEqual(calc.add(2, 3), 5)\n\n    def test_multiply(self):\n"
        "        self.assertEqual(calc.multiply(2, 3), 6)\n",
    ),
)
RUN_TESTS = "python3 -B -m unittest -q test_calc"


class Workspace:
    """`files` after the calls so far. Each method returns a change's event."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files = dict(FILES)
        self.commands: list[tuple[str, int | None]] = []  # with their exit codes, as they count
        self.names = set(FILES)  # including deleted files

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def write(self, name: str, content: str) -> Event:
        if name not in self.files:
            self.files[name] = content
            self.names.add(name)
            return Event("file_create", path=name, content=content, linesAdded=len(content.splitlines()))
        return self._change(name, content)

    def edit(self, name: str, old: str, new: str, *, every: bool = False) -> Event:
        assert old in self.files[name]
        return self._change(name, self.files[name].replace(old, new, -1 if every else 1))

    def delete(self, name: str) -> Event:
        del self.files[name]
        return Event("file_delete", path=name)

    def _change(self, name: str, content: str) -> Event:
        before, self.files[name] = self.files[name], content
        lines = list(difflib.ndiff(before.splitlines(keepends=True), content.splitlines(keepends=True)))
        added, removed = (len([line for line in lines if line.startswith(sign)]) for sign in "+-")
        return Event("file_diff", path=name, linesAdded=added, linesRemoved=removed)


def fix_and_multiply(tools: Any, notes: str) -> Conversation:
    """Return a conversation with a subagent, parallel calls, and a model call that is rejected once.

    notes -- the file that an edit changes at two positions
    """
    return [
        Prompt(FIX),
        Answer("I'll read the code and its test.", tools.read("calc.py"), tools.read("test_calc.py")),
        Answer("I'll plan the work.", *tools.start_tasks()),
        Answer("The test reproduces the bug.", tools.bash(RUN_TESTS, exit_code=1)),
        Answer("add() subtracts.", tools.edit_call("calc.py", "return a - b", "return a + b")),
        Answer(tools.bash(RUN_TESTS), rejected_with=529),
        Answer(
            "A subagent counts the functions.",
            tools.subagent(COUNT, Answer(tools.read("calc.py")), Answer("There are 2 functions.")),
        ),
        Answer(tools.write_call("CHANGES.md", "# Changes\n\n- add() adds.\n")),
        Answer(tools.read("README.md"), tools.read(notes)),
        Answer(
            "I will make three changes.",
            tools.write_call("README.md", "# Calc\n\nAdds numbers correctly.\n"),
            tools.edit_call(notes, "größer als null", "≥ 0", every=True),
            tools.bash("sleep 0.2; exit 3", exit_code=3),
        ),
        Answer("Both tasks are done.", *tools.finish_tasks()),
        Answer("add() now adds."),
        Prompt(MULTIPLY),
        *[Answer(tools.edit_call(*edit)) for edit in ADD_MULTIPLY],
        Answer("Both are done.", tools.bash(RUN_TESTS)),
        Answer("multiply() works."),
    ]
