"""How processes of this project use the cores."""

import os
import subprocess
import sys

import pytest

STARTS = {
    "the code location": "import trading_assets.definitions",
    "the command line": "import contextlib, trading_assets.cli.main as m\n"
    "with contextlib.suppress(SystemExit): m.main(['--version'])",
}


def settings_that_openmp_loads(start: str, **environment: str) -> set[str]:
    """What every OpenMP library of LightGBM's says of itself when it is loaded after `start`."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    code = f"{start}\nimport lightgbm"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**env, "OMP_DISPLAY_ENV": "true", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.removeprefix("[host]").strip() for line in done.stderr.splitlines()]
    return {line for line in lines if line.startswith(("OMP_NUM_THREADS", "OMP_WAIT_POLICY"))}


@pytest.mark.skipif(sys.platform != "linux", reason="asks GNU's OpenMP")
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
def test_threads_that_wait_sleep_wherever_a_process_of_ours_starts(start: str) -> None:
    assert settings_that_openmp_loads(start) == {"OMP_NUM_THREADS = '1'", "OMP_WAIT_POLICY = 'PASSIVE'"}


@pytest.mark.skipif(sys.platform != "linux", reason="asks GNU's OpenMP")
def test_what_the_environment_says_of_threads_stays() -> None:
    loaded = settings_that_openmp_loads(STARTS["the command line"], OMP_WAIT_POLICY="ACTIVE")
    assert loaded == {"OMP_NUM_THREADS = '1'", "OMP_WAIT_POLICY = 'ACTIVE'"}
