"""Run hidden tests on submissions in sandboxes: `python -m runner`, described in docs/runner.md.

A separate program: it imports nothing from the service. To audit it, read jobs.py (the sandboxes of a job),
sandboxes.py, bubblewrap.py or containers.py, archives.py and reports.py.
"""


class Unusable(Exception):
    """The submission cannot be tested, so none of its tests passes. The message is the reason."""


class EngineError(Exception):
    """The runner cannot run the job, which is retried. The message is the reason."""


class Aborted(Exception):
    """The job belongs to another claim, or the runner is stopping."""
