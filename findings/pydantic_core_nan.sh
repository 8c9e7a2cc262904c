#!/usr/bin/env bash
# pydantic_core.to_json writes a bare NaN, which is not JSON, where the model_dump_json of a model writes null.
#
# Seen with pydantic 2.14.3 (pydantic_core 2.50.4): the same float in the same structure is `null` by
# BaseModel.model_dump_json and `NaN` by pydantic_core.to_json, whose default of `inf_nan_mode` is 'constants'.
# Strict readers (JavaScript's JSON.parse, jq, DuckDB, orjson) refuse the second. Our figures of backtests are often
# NaN (no orders, no Sharpe ratio), and were written by the second.
# Right: to_json(..., inf_nan_mode="null").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "pydantic==2.14.3"
"$folder/venv/bin/python" - <<'PYTHON'
import json

import pydantic
import pydantic_core


class Figures(pydantic.BaseModel):
    sharpe: float


figures = Figures(sharpe=float("nan"))
by_model = figures.model_dump_json()
by_core = pydantic_core.to_json({"sharpe": figures.sharpe}).decode()
asked = pydantic_core.to_json({"sharpe": figures.sharpe}, inf_nan_mode="null").decode()
print("pydantic", pydantic.VERSION, "pydantic_core", pydantic_core.__version__)
print("model_dump_json:", by_model)
print("to_json:        ", by_core)
print("to_json, null:  ", asked)


def refuse(name: str) -> None:
    raise ValueError(name)


json.loads(by_model, parse_constant=refuse)
try:
    json.loads(by_core, parse_constant=refuse)
except ValueError:
    print("a strict reader refuses the second")
else:
    raise SystemExit("changed: to_json writes valid JSON now")
assert by_model == asked == '{"sharpe":null}' and by_core == '{"sharpe":NaN}', "changed"
PYTHON
