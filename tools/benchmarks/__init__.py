"""Benchmarks of the hot operations, compared with a bare WSGI application with hand-written SQL.

`make bench` (`python -m tools.benchmarks`) measures both in one run and writes RESULTS.md.
"""
