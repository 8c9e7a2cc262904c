"""Where rejected files go, each with its report."""

from __future__ import annotations

import shutil
from pathlib import Path

from trading_assets.errors import MarketError
from trading_assets.market.report import Finding, IngestReport
from trading_assets.registry.digests import sha256_file
from trading_assets.registry.files import replacing


def quarantine(path: Path, folder: Path, report: IngestReport, reason: str) -> None:
    """Copy the file, and write the report beside it; an earlier file of that name is kept.

    Of a folder there is the report alone.
    """
    if all(finding.message != reason for finding in report.findings):
        report.findings.append(Finding(kind="side file", reaction="rejected", message=reason))
    try:
        if path.is_dir():
            report.write(folder / f"{path.name}.report.json")
            return
        target = folder / path.name
        digest = sha256_file(path)
        if target.exists() and sha256_file(target) != digest:
            target = folder / f"{digest[:8]}-{path.name}"
        with replacing(target) as draft:
            shutil.copyfile(path, draft)
        report.write(folder / f"{target.name}.report.json")
    except OSError as error:
        raise MarketError(f"{reason} The file could not be copied to {folder}: {error}.") from None
