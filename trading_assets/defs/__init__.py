"""Orchestration: the assets, and when they run. Thin; each asset calls into the domain packages."""
