"""Fault injection into real processes under load, and a check that no acknowledged write is lost.

`python -m tools.chaos` (`make chaos`) kills, stops and restarts the web process, the worker and PostgreSQL.
"""
