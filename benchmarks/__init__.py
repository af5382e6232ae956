"""Measurements beside other libraries, for `python -m benchmarks`; nothing else imports this package."""
