"""Run hidden tests on submissions in sandboxes: `python -m runner`.

A program of its own: it imports nothing of the service and knows only the service's address and a runner token. Read
it in this order: jobs.py (what runs in which sandbox), sandboxes.py, bubblewrap.py or containers.py, archives.py,
reports.py. docs/runner.md has the promises.
"""
