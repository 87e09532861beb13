"""Tasks that the service hosts and tests: files and checks, repositories, runners and test runs."""
