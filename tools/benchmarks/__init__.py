"""What the hot operations cost, beside a bare WSGI application that does the same with hand-written SQL.

`python -m benchmarks` (or `make bench`) measures both in one run and writes RESULTS.md. See `__main__.py`.
"""
