"""The limit: the measured operations on the same tables with hand-written, prepared SQL, psycopg2's pool and orjson.

It has no framework, no documentation, and only the validation that the tables need.
"""
