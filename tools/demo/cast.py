"""The people in the demo: a fictional company's hiring team, and 61 candidates (tasks/cast.yaml)."""

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
# Candidates whose sessions `make demo` recommends.
HIGHLIGHTS = {
    "Siddharth Iyer": "tampered recording: a failed test run was changed to a passed one in the database",
    "Zoë van den Berg": "reviewers disagree by two levels; one has revised a score",
    "Mei-Lin Chou": "very long session with about 2,000 events",
    "Aoife Brennan": "hired; the model proxy, hooks and telemetry recorded the same calls",
    "Leila Farahani": "used their own account: hooks and telemetry recorded the calls, the model proxy did not",
    "Emeka Obi": "in progress",
    "Hye-jin Park": "requested erasure",
}
SOURCES = {"c": "careers page", "r": "referral", "a": "agency"}


class Candidate(NamedTuple):
    """A candidate. `number` is unique and seeds random choices."""

    number: int
    task: str
    name: str
    outcome: str
    level: int
    days: float
    source: str
    note: str = ""

    @property
    def email(self) -> str:
        plain = unicodedata.normalize("NFKD", self.name).encode("ascii", "ignore").decode()
        words = plain.lower().replace("'", "").split()
        domain = "mailbox.invalid" if self.outcome == "undeliverable" else "example.com"
        return f"{words[0]}.{'-'.join(words[1:])}@{domain}"

    @property
    def external_id(self) -> str:
        return f"applicant-{4700 + self.number}"

    @property
    def has_session(self) -> bool:
        return self.outcome not in ("pending", "expiring", "expired", "undeliverable", "bounced", "revoked")

    @property
    def is_listed(self) -> bool:
        """True if the list of candidates includes them. The results also include the erased candidate."""
        return self.outcome not in ("revoked", "erased")

    @property
    def is_open(self) -> bool:
        return self.outcome in ("running", "idle")


def candidates() -> list[Candidate]:
    rows = [(task, row) for task, rows in read("cast.yaml").items() for row in rows]
    return [
        Candidate(number, task, name, outcome, level, days, SOURCES[source], *note)
        for number, (task, (name, outcome, level, days, source, *note)) in enumerate(rows, start=1)
    ]
