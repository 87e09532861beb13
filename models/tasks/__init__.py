"""Tasks that the service runs: files of a task, checks, and test runs."""
