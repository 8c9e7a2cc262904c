"""Bytes of a text as UTF-8."""

from __future__ import annotations

import re

from trading_assets.market.columns import is_header
from trading_assets.market.report import AGAIN, IngestReport, listed

_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml|error|title)", re.IGNORECASE)
_DOWNLOAD = "Download it again, and look at what the server said."
_LEGACY = ("latin-1", "gb18030", "cp932", "big5", "cp1250")
"""Of western Europe, China, Japan, Taiwan, Poland: the first under which the column names are known."""


def decode(data: bytes, report: IngestReport) -> tuple[bytes, str]:
    """As UTF-8 without a byte order mark, with lines that end in LF; refuses what is a page."""
    encoding = ""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            try:
                data, encoding = data.decode(name).encode(), f", {name}"
            except UnicodeDecodeError as error:
                report.reject(
                    "truncated", f"is not valid {name} ({error.reason} at byte {error.start})", AGAIN
                )
            break
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            name = _legacy(data)
            data, encoding = data.decode(name).encode(), f", {name}"
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if _PAGE.match(data):
        report.reject("no table", f"is an HTML or XML page: {_start(data)}", _DOWNLOAD)
    if data[:1_000].lstrip()[:1] in {b"{", b"["}:
        report.reject("no table", f"is JSON, perhaps an error message: {_start(data)}", _DOWNLOAD)
    return data, encoding


def _legacy(data: bytes) -> str:
    """Latin-1 where nothing fits: it knows every byte, and damage in a number is found."""
    for name in _LEGACY:
        try:
            head = data.decode(name)[:10_000].splitlines()[:20]
        except UnicodeDecodeError:
            continue
        if any(is_header(re.split(r"[,;\t|]", line)) for line in head):
            return name
    return "latin-1"


def _start(data: bytes) -> str:
    return f"'{listed([data[:200].decode('utf-8', 'replace')])}'"
