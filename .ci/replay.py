"""Take a backtest's decisions out of its report; show them to the bundle elsewhere and compare."""

import sys
from pathlib import Path


def export(report: str, target: str) -> None:
    import numpy as np

    from trading_assets.registry.tables import read_table

    frame = read_table(Path(report) / "decisions.parquet")
    observations = frame.drop(columns=["bar", "action"]).to_numpy(dtype=np.float32)
    np.savez(target, observations=observations, actions=frame["action"].dropna().to_numpy())


def replay(bundle: str, decisions: str) -> None:
    import numpy as np

    from trading_assets.execution import load_bundle

    data = np.load(decisions)
    for runtime in ("numpy", "onnx"):
        policy = load_bundle(bundle, runtime=runtime)
        rows, n = data["observations"], policy.warm_up_bars
        policy.warm_up(rows[:n, :-4])
        actions = [policy.predict(row)[0] for row in rows[n:]]
        if not np.array_equal(actions, data["actions"]):
            sys.exit(f"{runtime}: the bundle does not decide as its backtest did")
        print(f"{runtime}: {len(actions)} decisions, all as in the backtest")


if __name__ == "__main__":
    {"export": export, "replay": replay}[sys.argv[1]](sys.argv[2], sys.argv[3])
