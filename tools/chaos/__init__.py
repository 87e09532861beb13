"""Faults against real processes under load, and the check afterwards that nothing acknowledged was lost.

`python -m chaos` (or `make chaos`) kills, stops and restarts the web process, the worker and PostgreSQL while
writers do what reviewers and candidates do; see `__main__.py`. `python -m tools.chaos.soak` runs a steady load for a
long time instead, and watches the memory.
"""
