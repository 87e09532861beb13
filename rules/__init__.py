"""Pure functions on plain values: no database, no request, no clock."""
