"""The command line: the same assets, the same Dagster instance, without a daemon."""
