"""Programs around the service: start script, demo, benchmarks, chaos tests."""
