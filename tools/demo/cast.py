"""The people of the demo: the hiring team of an invented company, and 61 candidates (tasks/cast.yaml)."""

import unicodedata
from typing import NamedTuple

from tools.demo.tasks import read

COMPANY = "Meridian Goods"
PEOPLE = {
    "admin": ("Maren Lindqvist", "maren.lindqvist@meridian.example"),
    "reviewer": ("Priya Raman", "priya.raman@meridian.example"),
    "reviewer 2": ("Tomás Herrera", "tomas.herrera@meridian.example"),
    "observer": ("Jonas Adeyemi", "jonas.adeyemi@meridian.example"),
}
# Candidates with a session, and why to look at them first.
PLACES_TO_START = {
    "Siddharth Iyer": "a tampered record: a failed test run was changed in the database to one that passed",
    "Zoë van den Berg": "two reviewers disagree by two levels, and one has revised a score",
    "Mei-Lin Chou": "a very long session of about 2,000 events",
    "Aoife Brennan": "hired; model proxy, hooks and telemetry recorded the same calls",
    "Leila Farahani": "used their own account: recorded by hooks and telemetry, not by the model proxy",
    "Emeka Obi": "is working right now",
    "Hye-jin Park": "asks for erasure",
}
SOURCES = {"c": "careers page", "r": "referral", "a": "agency"}


class Candidate(NamedTuple):
    """A candidate; `number` is unique and seeds everything random about them."""

    number: int
    task: str
    name: str
    fate: str
    level: int
    days: float
    source: str
    note: str

    @property
    def email(self) -> str:
        plain = unicodedata.normalize("NFKD", self.name).encode("ascii", "ignore").decode()
        words = plain.lower().replace("'", "").split()
        domain = "mailbox.invalid" if self.fate == "undeliverable" else "example.com"
        return f"{words[0]}.{'-'.join(words[1:])}@{domain}"

    @property
    def external_id(self) -> str:
        return f"applicant-{4700 + self.number}"

    @property
    def has_session(self) -> bool:
        return self.fate not in ("pending", "expiring", "expired", "undeliverable", "bounced", "revoked")

    @property
    def is_listed(self) -> bool:
        """Return whether the list of candidates shows them; the results also show the erased one."""
        return self.fate not in ("revoked", "erased")

    @property
    def is_open(self) -> bool:
        return self.fate in ("running", "idle")


def candidates() -> list[Candidate]:
    """61 candidates, one of them erased, and one whose key is revoked."""
    rows = [(task, row) for task, rows in read("cast.yaml").items() for row in rows]
    return [_candidate(number, task, *row) for number, (task, row) in enumerate(rows, start=1)]


def groups(task: str) -> dict[str, str]:
    """Sources of the candidates of a task, by their external ids, as for a fairness report."""
    listed = (each for each in candidates() if each.task == task and each.is_listed)
    return {each.external_id: each.source for each in listed}


def _candidate(
    number: int, task: str, name: str, fate: str, level: int, days: float, source: str, note: str = ""
) -> Candidate:
    return Candidate(number, task, name, fate, level, days, SOURCES[source], note)
