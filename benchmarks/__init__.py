"""Measurements against named peers, run by hand: `python -m benchmarks.NAME`; results in README.md here."""
