"""Benchmarks: compare frequent operations with a bare WSGI application and hand-written SQL (`make bench`)."""
