"""Plain functions on plain values: no table, no request, no clock of their own."""
