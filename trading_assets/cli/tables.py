"""Tables that are printed whole: a symbol, kind or date that is cut off is of no use."""

from rich.console import Console
from rich.table import Table


def print_whole(table: Table) -> None:
    """Print a table as wide as it is; a narrower terminal wraps its lines."""
    console = Console()
    Console(width=max(console.width, _width(table, console))).print(table)


def fits(table: Table) -> bool:
    """Whether there is room for a table; a pipe takes any width."""
    console = Console()
    return not console.is_terminal or _width(table, console) <= console.width


def _width(table: Table, console: Console) -> int:
    return console.measure(table, options=console.options.update(max_width=10_000)).maximum
