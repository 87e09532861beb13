"""Benchmarks: frequent operations compared with a bare WSGI application and hand-written SQL (`make bench`)."""
