"""The limit: a bare WSGI application for the measured operations, with psycopg2, orjson and hand-written SQL."""
