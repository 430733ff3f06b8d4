"""What the service promises under load, measured on the real one: `python -m tests.serve.load all`."""
