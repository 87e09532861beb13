"""Run hidden tests on submissions in sandboxes: `python -m runner`, described in docs/runner.md.

A program of its own: it imports nothing of the service. To audit it, read jobs.py (what runs in which sandbox),
sandboxes.py, bubblewrap.py or containers.py, archives.py and reports.py.
"""


class Unusable(Exception):
    """The submission has no result, with the reason: none of its tests passes."""


class EngineError(Exception):
    """The runner cannot run the job, with the reason. It is tried again."""


class Aborted(Exception):
    """The job belongs to another claim, or the runner stops."""
