"""Figures of an artifact that code reads, typed; what only people look at is in its `Summary`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from trading_assets.errors import ArtifactError
from trading_assets.registry.artifacts import ArtifactRef
from trading_assets.registry.files import write_json


def _nan_of_null(value: object) -> object:
    return float("nan") if value is None else value


Figure = Annotated[float, BeforeValidator(_nan_of_null)]
"""A number that may be unknown: NaN in Python, null in JSON."""


class Row(BaseModel):
    """Figures under names for code, with the labels that people see as aliases."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def labelled(self) -> dict[str, Any]:
        """The figures by their labels."""
        return self.model_dump(by_alias=True)


class Figures(Row):
    """All figures of an artifact that other code reads, in one JSON file of its folder.

    Attributes
    ----------
    FILE : str
        Name of the file; it belongs to the artifact's identity.
    """

    FILE: ClassVar[str]

    def write(self, folder: Path) -> None:
        """Write the file into `folder`; an unknown figure becomes null."""
        write_json(folder / self.FILE, self.labelled())

    @classmethod
    def read(cls, ref: ArtifactRef) -> Self:
        """The figures of a stored artifact, whose files are verified first.

        Raises
        ------
        ArtifactError
            When the artifact is damaged, or an earlier version of this package built it without a figure.
        """
        try:
            return cls.model_validate_json((ref.open() / cls.FILE).read_bytes())
        except FileNotFoundError:
            problem = cls.FILE
        except ValidationError as error:
            problem = f"'{'.'.join(map(str, error.errors()[0]['loc']))}' as it is now in {cls.FILE}"
        raise ArtifactError(
            f"{ref.kind} {ref.version} of {ref.symbol} was built by an earlier version of this package, "
            f"without {problem}. Rebuild it: trading-assets train {ref.kind} --symbols {ref.symbol}"
        )
