"""The server that workers are forked from, and what it and they write to stderr.

Dagster and the libraries below it write at length there, tracebacks too, what the command line says in one
line.
"""

import os
import signal
from functools import cache
from multiprocessing import forkserver
from tempfile import TemporaryFile
from typing import IO

from trading_assets.errors import explain_machine


@cache
def start_server() -> IO[bytes]:
    """Start the server once; the file takes its stderr and that of all workers."""
    output, ours = TemporaryFile(), os.dup(2)  # noqa: SIM115 - open for as long as the process lives
    os.dup2(output.fileno(), 2)
    try:
        forkserver.ensure_running()
    finally:
        os.dup2(ours, 2)
        os.close(ours)
    return output


def read_from(output: IO[bytes], position: int) -> str:
    """What was written since the file was as long as `position`."""
    output.seek(position)
    return output.read().decode(errors="replace")


def explain_end(exit_code: int, output: str) -> str | None:
    """Why a worker ended that told of no failure; None where a traceback is right."""
    if exit_code == -signal.SIGKILL:
        return "the worker process was killed, most likely for want of memory; see --max-workers"
    return explain_machine(ChildProcessError(output))
