"""Development tools: start script, demo, benchmarks, chaos tests."""
