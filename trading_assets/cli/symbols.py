"""Which symbols are registered, and which could be."""

import sys
from collections.abc import Iterable

from rich.table import Table

from trading_assets.cli.home import open_instance, registered_symbols
from trading_assets.cli.tables import print_whole
from trading_assets.config.profiles import idle_sections
from trading_assets.defs.resources import Workspace
from trading_assets.errors import MarketError
from trading_assets.market.bars import check_symbol


def show() -> int:
    """List registered symbols and files that are not registered yet."""
    registered = registered_symbols(open_instance())
    source = Workspace().source
    files = source.files() if source.folder.is_dir() else {}
    table = Table("symbol", "registered", "file")
    for symbol in sorted({*registered, *files}):
        path = files.get(symbol)
        table.add_row(symbol, "yes" if symbol in registered else "no", path.name if path else "missing")
    if table.row_count:
        print_whole(table)
    else:
        print("No symbols yet; see 'trading-assets demo'.")
    return 0


def tell_idle_sections(profile: str, symbols: Iterable[str]) -> None:
    """Say which sections of a profile match neither these nor the registered or the found symbols."""
    source = Workspace().source
    files = source.files() if source.folder.is_dir() else {}
    for sentence in idle_sections(profile, {*symbols, *registered_symbols(open_instance()), *files}):
        print(f"trading-assets: {sentence}", file=sys.stderr)


def add(symbols: list[str]) -> int:
    """Register symbols; each needs a file in the market folder."""
    source = Workspace().source
    for symbol in symbols:
        source.file(symbol)
    open_instance().add_dynamic_partitions("symbols", symbols)
    print(f"Registered {', '.join(symbols)}.")
    return 0


def remove(symbols: list[str]) -> int:
    """Take symbols off the list; their artifacts stay."""
    instance = open_instance()
    registered = registered_symbols(instance)
    for symbol in symbols:
        if check_symbol(symbol) not in registered:
            raise MarketError(f"'{symbol}' is not registered. There are: {', '.join(registered) or 'none'}.")
    for symbol in symbols:
        instance.delete_dynamic_partition("symbols", symbol)
    print(f"Removed {', '.join(symbols)}; bars, models and reports stay where they are.")
    return 0
