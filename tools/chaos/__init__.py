"""Fault injection into real processes under load, and a check that no acknowledged write is lost.

`python -m tools.chaos` (`make chaos`) kills, stops and restarts the web process, the worker and PostgreSQL.
`python -m tools.chaos.soak` (`make soak`) runs a steady load for a long time and checks the memory.
"""
