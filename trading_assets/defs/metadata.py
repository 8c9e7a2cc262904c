"""An artifact's summary as Dagster metadata: numbers it can plot, tables, pictures."""

import base64
import math
from collections.abc import Mapping
from typing import Any

import dagster as dg

from trading_assets.registry.store import StoreResult

MAX_ROWS = 200


def artifact_metadata(stored: StoreResult) -> dict[str, Any]:
    """Everything that Dagster's user interface shows of an artifact, cached or built."""
    ref, summary = stored.ref, stored.ref.summary
    metadata: dict[str, Any] = {name: _number(value) for name, value in summary.numbers.items()}
    for name, rows in summary.tables.items():
        metadata[name] = _table(rows)
    for picture in summary.pictures:
        image = base64.b64encode((ref.path / picture).read_bytes()).decode()
        name = picture.removesuffix(".png")
        metadata[f"picture: {name}"] = dg.MetadataValue.md(f"![{name}](data:image/png;base64,{image})")
    if summary.notes:
        metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in summary.notes))
    if "rows" in summary.numbers:
        metadata["dagster/row_count"] = int(summary.numbers["rows"])
    metadata |= {
        "outcome": stored.outcome,
        "why": stored.reason,
        "version": ref.version,
        "identity": ref.identity,
        "folder": dg.MetadataValue.path(ref.path),
        "build seconds": float(ref.metadata["build_seconds"]),
        "made from": _table(
            [
                {"asset": name, "version": parent["version"], "identity": parent["identity"]}
                for name, parent in ref.metadata["inputs"].items()
            ]
        ),
    }
    return metadata


def _number(value: float | int | str) -> Any:
    if isinstance(value, bool | str):
        return str(value)
    return float(value) if math.isfinite(value) else str(value)


def _table(rows: list[Mapping[str, Any]] | list[dict[str, Any]]) -> Any:
    if not rows:
        return dg.MetadataValue.text("none")
    columns = [dg.TableColumn(name, "float" if _is_number(v) else "string") for name, v in rows[0].items()]
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in rows[:MAX_ROWS]]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(columns=columns))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else str(value)
    return value
