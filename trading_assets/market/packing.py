"""What a file is packed with, undone."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib

from trading_assets.market.report import AGAIN, IngestReport, listed

_AS_CSV = "Open it and save it as CSV."
_PACKED = {
    "bzip2": (0, b"BZh"),
    "xz": (0, b"\xfd7zXZ\x00"),
    "zstd": (0, b"\x28\xb5\x2f\xfd"),
    "lz4": (0, b"\x04\x22\x4d\x18"),
    "7z": (0, b"7z\xbc\xaf\x27\x1c"),
    "rar": (0, b"Rar!\x1a\x07"),
    "tar": (257, b"ustar"),
}
"""Where they have which bytes."""


_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def unpack(data: bytes, report: IngestReport) -> tuple[bytes, str]:
    """Undo gzip or zip; refuses what else a file is packed with."""
    data, packing = _unzipped(data, report)
    packed = next((name for name, (at, magic) in _PACKED.items() if data.startswith(magic, at)), None)
    if packed is not None:
        report.reject(
            "packed", f"is packed with {packed}, which is not read", "Unpack it, or use gzip or zip."
        )
    if data.startswith(_OLD_OFFICE):
        report.reject("spreadsheet", "is a spreadsheet or another document of Office", _AS_CSV)
    return data, packing


def _unzipped(data: bytes, report: IngestReport) -> tuple[bytes, str]:
    if not data or data.isspace():
        report.reject("empty", "is empty", AGAIN)
    if data[:2] == b"\x1f\x8b":
        try:
            return gzip.decompress(data), ", gzip"
        except (OSError, EOFError, zlib.error) as error:
            report.reject("truncated", f"is a damaged or truncated gzip file ({error})", AGAIN)
    if data[:2] == b"PK":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = [n for n in archive.namelist() if not n.endswith("/") and "__MACOSX" not in n]
                if "[Content_Types].xml" in names:
                    report.reject("spreadsheet", "is a spreadsheet (.xlsx)", _AS_CSV)
                if len(names) != 1:
                    report.reject(
                        "several files",
                        f"is a zip archive of {len(names)} files: {listed(names) or 'none'}",
                        "Pack one file of bars.",
                    )
                return archive.read(names[0]), ", zip"
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            ValueError,
            zlib.error,
            lzma.LZMAError,
            RuntimeError,  # encrypted, or a method that is not implemented
        ) as error:
            report.reject("truncated", f"is a damaged or truncated zip file ({error})", AGAIN)
    return data, ""
