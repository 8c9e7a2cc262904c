"""Measurements against named peers, run by hand: `python -m benchmarks.NAME`. Results in benchmarks/README.md."""
