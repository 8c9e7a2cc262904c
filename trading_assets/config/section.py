"""What settings are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Duration = Annotated[str, Field(pattern=r"^[1-9]\d*[mhdw]$")]
"""Minutes, hours, days or weeks: '15m', '4h', '1d', '1w'."""


class Section(BaseModel):
    """Base of all settings: immutable, and a misspelt field is an error rather than a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
