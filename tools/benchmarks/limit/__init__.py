"""The limit: the hot operations on the same tables with hand-written SQL, psycopg2's pool and orjson, and nothing
else. It has no framework, no documentation, and of validation only what the tables need."""
