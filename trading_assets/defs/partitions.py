"""The one dimension the pipeline is partitioned by."""

import dagster as dg

symbols = dg.DynamicPartitionsDefinition(name="symbols")
