"""The people of the demo: the hiring team of an invented company, and sixty candidates.

A candidate's row: name, what became of them, level (1 to 3), days since the session (or the invitation) began, and
where the application came from (c: careers page, r: referral, a: agency). The same at every run.
"""

import unicodedata
from typing import NamedTuple

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

# Without a session: pending, expiring (tomorrow), expired, rejected (by the email server), bounced, revoked.
# Open: running, idle. Closed: limit (by the time limit), closed (by a reviewer), completed.
# Scored: one (by one reviewer), scored, disagreed. Decided: advanced, rejected, hired. Then: erasure, erased.
_RETRIES = """
Amara Nwosu           hired      3 17.1 c
Henrik Solberg        advanced   3 16.2 c
Mei-Lin Chou          advanced   3 15.3 c  long
Rafael Monteiro       advanced   2 14.2 a
Ingrid Vestergaard    advanced   3 12.3 c  tests
Yusuf Demir           advanced   2 11.2 c  extra
Katarzyna Wójcik      rejected   1 17.3 a
Devon Clarke          rejected   1 16.4 a
Noor El-Sayed         rejected   2 15.1 c
Pavel Dvořák          rejected   1 13.3 a  tests
Thandiwe Mokoena      rejected   2 12.1 c
Lars Eriksen          rejected   1 10.3 a
Siddharth Iyer        advanced   3 9.2 c  tampered
Zoë van den Berg      disagreed  2 7.3 c
Camille Laurent       one        2 5.3 c
Bao Trinh             scored     2 4.2 c
Oleksandr Kovalenko   limit      2 8.2 c
Fatima Zahra Idrissi  completed  3 1.2 r
Gabriel Santos        erased     2 14.4 a
Hye-jin Park          erasure    1 9.4 c
Emeka Obi             running    2 0 c
Sofía Castillo        pending    2 2.2 c
Matteo Ricci          expiring   2 6.3 c
Dmitri Sokolov        expired    2 12.2 a
Anneliese Brandt      rejected    2 1.4 c
Wim Peeters           revoked    2 6.2 c
"""
_SEARCH = """
Aoife Brennan         hired      3 15.2 r  proxy
Kenji Watanabe        advanced   3 14.3 c  proxy
Leila Farahani        advanced   3 13.2 r  hooks
Nikhil Deshpande      advanced   2 10.2 c
Solveig Haugen        advanced   3 8.3 c  tests
Marcus Whitfield      rejected   1 15.4 a  hooks
Ewa Kowalska          rejected   2 14.1 c
Tariq Mahmood         rejected   1 13.4 a
Chiara Bianchi        rejected   1 12.2 c  proxy
Joseph Kimani         rejected   2 11.3 c  tests
Anja Hofer            rejected   1 9.3 a
Ravi Subramaniam      disagreed  2 6.3 c  proxy
Lucie Moreau          disagreed  3 5.2 r
Samuel Osei           one        2 4.3 c
Hanna Virtanen        one        2 3.3 a  proxy
Diego Fuentes         completed  3 2.2 c  hooks
Ayşe Çelik            completed  1 1.3 c
Patrick O'Connell     limit      1 7.2 c  hooks
Minh Anh Pham         running    2 0 r  hooks
Jelena Petrović       idle       2 0 c
Ibrahim Diallo        expired    2 16.2 c
Charlotte Dubois      pending    2 1.2 c  extra
"""
_TOTALS = """
Ada Nyström           hired      3 13.2 c
Kwame Boateng         advanced   3 11.2 r
Lena Fischer          advanced   2 10.2 c
Arjun Mehta           rejected   1 13.3 c
Natalia Gómez         rejected   2 12.2 c
Finn Gallagher        rejected   1 9.2 c
Zanele Dlamini        rejected   1 7.2 c
Hugo Lambert          one        2 4.2 c
Mariam Haddad         completed  2 2.3 c
Viktor Szabó          completed  3 1.1 r
Elin Sjöberg          closed     1 6.2 c
Tomasz Nowak          pending    2 3.1 c
Priscilla Andrade     bounced    2 5.1 c
"""


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
        domain = "mailbox.invalid" if self.fate == "rejected" else "example.com"
        return f"{words[0]}.{'-'.join(words[1:])}@{domain}"

    @property
    def external_id(self) -> str:
        return f"applicant-{4700 + self.number}"

    @property
    def has_session(self) -> bool:
        return self.fate not in ("pending", "expiring", "expired", "rejected", "bounced", "revoked")

    @property
    def is_listed(self) -> bool:
        """Return whether the list of candidates shows them; the results also show the erased one."""
        return self.fate not in ("revoked", "erased")

    @property
    def is_open(self) -> bool:
        return self.fate in ("running", "idle")


def candidates() -> list[Candidate]:
    """Sixty candidates, one of them erased, and one whose key is revoked."""
    tables = {"retries": _RETRIES, "search": _SEARCH, "totals": _TOTALS}
    rows = [(task, line) for task, table in tables.items() for line in table.strip().splitlines()]
    return [_candidate(number, task, line) for number, (task, line) in enumerate(rows, start=1)]


def groups(task: str) -> dict[str, str]:
    """Sources of the candidates of a task, by their external ids, as for a fairness report."""
    listed = (each for each in candidates() if each.task == task and each.is_listed)
    return {each.external_id: each.source for each in listed}


def _candidate(number: int, task: str, line: str) -> Candidate:
    name, rest = line[:22].strip(), line[22:].split()
    fate, level, days, source, *note = rest
    return Candidate(
        number, task, name, fate, int(level), float(days), SOURCES[source], note[0] if note else ""
    )
