"""Market bars in, verified trading policies out: a Dagster code location and the domain code under it."""

__version__ = "0.2.0"
