"""The bare application: the hot operations on the same tables with prepared SQL, psycopg2's pool and orjson.

It has no framework, no documentation, and only the validation that the tables need.
"""
