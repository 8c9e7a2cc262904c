"""What a file of the market folder holds by its name; why one is passed over, and which name would do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal, cast

from trading_assets.market.bars import FORMATS, SYMBOL, symbol_of

Kind = Literal["funding", "splits", "exclude"]
_SIDE = re.compile(r"(?P<symbol>.+)\.(?P<kind>funding|splits|exclude)\.(parquet|feather|csv)")
_FREQTRADE_SYMBOL = re.compile(r"(?P<pair>[A-Z0-9]+(_[A-Z0-9]+)+)-\d+[MHDW]")
_FREQTRADE_OTHER = re.compile(
    r"(?P<pair>[A-Z0-9]+(_[A-Z0-9]+)+)-(\d+[mhdwM]-)?(?P<kind>funding_rate|mark|index|premiumIndex|trades)"
    r"\.(feather|parquet|json|json\.gz|h5)"
)
_RENAMED = {
    ".csv": (".txt", ".tsv", ".tab", ".dat", ".prn", ".asc", ".data"),
    ".csv.gz": (".gz", ".txt.gz", ".tsv.gz"),
    ".csv.zip": (".txt.zip",),
    ".parquet": (".parq", ".pq"),
    ".feather": (".arrow", ".ftr", ".ipc"),
    ".json": (".jsonl", ".ndjson"),
}
"""Endings that are not read, though what they stand for often is."""
_CONVERTED = (
    ".h5",
    ".hdf5",
    ".hdf",
    ".xlsx",
    ".xls",
    ".ods",
    ".pkl",
    ".pickle",
    ".bz2",
    ".xz",
    ".zst",
    ".7z",
)
_UNREAD = {other: ending for ending, others in _RENAMED.items() for other in others}
_COPY = re.compile(r"\s*\(\d+\)$|\s*-\s*copy(\s*\(\d+\))?$", re.IGNORECASE)
_DUMP = re.compile(r"(?P<symbol>.+?)-(?P<interval>\d+[a-zA-Z]+)-\d{4}-\d\d(-\d\d)?")
"""Binance's files of a month or a day."""
_ROW = re.compile(rb"\d[^\n]*([,;|\t ][^\n]*\d){4}")


def side_of(name: str) -> tuple[str, Kind] | None:
    """Of a side file's name the symbol (or freqtrade's pair) and what is in it."""
    if (match := _SIDE.fullmatch(name)) and SYMBOL.fullmatch(match["symbol"]):
        return match["symbol"], cast("Kind", match["kind"])
    match = _FREQTRADE_OTHER.fullmatch(name)
    return (match["pair"], "funding") if match and match["kind"] == "funding_rate" else None


def is_freqtrade(symbol: str) -> bool:
    """Whether a symbol is of the kind that `symbol_of` gives freqtrade's files."""
    return _FREQTRADE_SYMBOL.fullmatch(symbol) is not None


def freqtrade_funding(symbol: str, names: Iterable[str]) -> str | None:
    """Freqtrade's file of the funding rates of a symbol, which has an interval of its own."""
    if (of := _FREQTRADE_SYMBOL.fullmatch(symbol)) is None:
        return None
    own = (of["pair"], "funding")
    return min((name for name in names if side_of(name) == own and "-funding_rate." in name), default=None)


def other_of_freqtrade(name: str) -> str | None:
    """What freqtrade keeps beside the bars in a file of this name, and is neither bars nor funding rates."""
    match = _FREQTRADE_OTHER.fullmatch(name)
    kinds = {"mark": "mark prices", "index": "index prices", "premiumIndex": "premiums", "trades": "trades"}
    return kinds.get(match["kind"]) if match else None


def why_not_taken(path: Path, names: Collection[str] = ()) -> str | None:
    """Why a file that looks like bars is passed over, and the name that would do; None where nothing is lost.

    Parameters
    ----------
    path : Path
        Looked into where its name could be that of anything.
    names : collection of str
        Of all files in the folder: a name that is taken would not do.
    """
    name = path.name
    if name.startswith(".") or symbol_of(path) or side_of(name) or other_of_freqtrade(name):
        return None
    ending = _ending(name)
    if ending is None or (ending in (".json", *_RENAMED[".csv"]) and not _has_rows(path)):
        return None
    stem = name[: -len(ending)]
    if ending.lower() in _CONVERTED:
        return f"{ending} is not read; 'trading-assets data check {name}' says how to convert it"
    reasons = [] if ending in FORMATS else [f"the ending {ending} is not read"]
    plain = _COPY.sub("", stem)
    if plain != stem:
        reasons.append("it seems to be a copy")
    if dump := _DUMP.fullmatch(plain):
        plain = dump["symbol"]
        reasons.append("it is a part; join all of its symbol")
    elif not SYMBOL.fullmatch(plain):
        capitals = SYMBOL.fullmatch(plain.upper())
        reasons.append("a symbol is written in capitals" if capitals else "a symbol has only A-Z 0-9 . _ -")
    return f"{', '.join(reasons)}: {_call_it(_symbol(plain), _readable(ending), names)}"


def passed_over(folder: Path, names: Collection[str]) -> dict[str, str]:
    """Of the files `names` in a folder, those that look like bars and are not taken, with the reason.

    Where there are no bars at all, folders of freqtrade's in it are named: nothing in a folder is taken.
    """
    reasons = {name: why_not_taken(folder / name, names) for name in sorted(names)}
    return {name: reason for name, reason in reasons.items() if reason is not None} | {
        f"{place}/": "folders are not looked into, and it holds freqtrade's bars: set "
        "TRADING_ASSETS_MARKET_DIR to it, or move its files here"
        for place in ([] if any(symbol_of(Path(name)) for name in names) else _freqtrade_folders(folder))
    }


def _freqtrade_folders(folder: Path) -> list[str]:
    """`binance` and `binance/futures`, as freqtrade lays them out, where bars are in them."""
    try:
        places = [*folder.glob("*/"), *folder.glob("*/futures/")]
        return sorted(
            place.relative_to(folder).as_posix()
            for place in places
            if place.is_dir() and any(is_freqtrade(symbol_of(file) or "") for file in place.iterdir())
        )
    except OSError:
        return []


def told(reasons: Mapping[str, str], limit: int = 3) -> str:
    """Files that are passed over as a sentence; empty without any."""
    if not reasons:
        return ""
    texts = [f"{name} ({reason})" for name, reason in reasons.items()]
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return f"Not taken: {', '.join(texts[:limit])}{more}."


def _ending(name: str) -> str | None:
    """The longest ending that is known, as it is written."""
    known = sorted((*FORMATS, *_UNREAD, *_CONVERTED), key=len, reverse=True)
    return next(
        (name[-len(end) :] for end in known if name.lower().endswith(end) and len(name) > len(end)), None
    )


def _readable(ending: str) -> str:
    return _UNREAD.get(ending.lower(), ending.lower())


def _has_rows(path: Path) -> bool:
    """Whether the first lines hold rows of numbers, as notes and settings do not."""
    try:
        with path.open("rb") as file:
            head = file.read(4_096)
    except OSError:
        return False
    return _ROW.search(head.replace(b"\0", b"")) is not None


def _symbol(stem: str) -> str:
    text = unicodedata.normalize("NFKD", stem.removesuffix("=X")).encode("ascii", "ignore").decode().upper()
    return re.sub(r"[^A-Z0-9.-]+", "_", text).strip("_. ")[:64] or "SYMBOL"


def _call_it(symbol: str, ending: str, names: Collection[str]) -> str:
    good = f"{symbol}{ending}"
    there = next((name for name in names if symbol_of(Path(name)) == symbol), None)
    if there is None:
        return f"call it {good}"
    taken = {symbol_of(Path(name)) for name in names}
    other = next(f"{symbol}-{i}" for i in range(2, len(taken) + 3) if f"{symbol}-{i}" not in taken)
    return f"{there} is there already; delete one of them, or call this one {other}{ending}"
