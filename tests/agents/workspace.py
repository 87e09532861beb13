"""The files that a scenario works on, changed in memory as the script's calls change them on the disk."""

import difflib
from pathlib import Path

from tests.agents.script import Event

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
# Edits: the file, the text before, the text after.
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
    """`files` after the calls so far; each method returns the event of a change."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files = dict(FILES)
        self.names = set(FILES)  # of all files that there were

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def write(self, name: str, content: str) -> Event:
        """Write a whole file."""
        if name not in self.files:
            self.files[name] = content
            self.names.add(name)
            return Event("file_create", path=name, content=content, linesAdded=len(content.splitlines()))
        return self._change(name, content)

    def edit(self, name: str, old: str, new: str, *, every: bool = False) -> Event:
        """Replace a text in a file."""
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
