"""Limits on what an account may do: the numbers of the risk rules, typed and bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from trading_assets.config.explain import explain
from trading_assets.config.section import Positive, Section
from trading_assets.config.strict_yaml import read_yaml
from trading_assets.errors import SettingsError


class Limit(Section):
    """Two levels of one figure, and how long its rule acts."""

    soft: Annotated[float, Field(ge=0)]
    """Where the penalty starts; it rises with the square of the excess to 1 at the hard level."""
    hard: Annotated[float, Field(ge=1e-9)]
    """Where the rule acts."""
    cool_down: Annotated[int, Field(ge=0, le=100_000)]
    """Bars that the rule goes on acting; then what it measures starts anew."""

    @model_validator(mode="after")
    def _soft_below_hard(self) -> Self:
        if self.soft >= self.hard:
            raise ValueError(f"soft is {self.soft}; it must lie below hard ({self.hard})")
        return self


class RiskLimits(Section):
    """The limits of one account; a figure without a limit is not watched.

    Exposure is cut to what its limits allow, and grows no more while they cool down. When activity has
    reached its limit, positions may only be reduced. A loss that reaches its limit closes the position until
    the cool-down is over.

    Examples
    --------
    >>> RiskLimits.from_yaml("drawdown: {soft: 0.1, hard: 0.25, cool_down: 168}").drawdown.hard
    0.25
    """

    position: Limit | None = None
    """Units of the asset held."""
    leverage: Limit | None = None
    """Notional held over equity."""
    gross_notional: Limit | None = None
    """Notional held, in the account's currency."""
    value_at_risk: Limit | None = None
    """Loss of what is held over one bar, as a fraction of equity, that is exceeded with probability `tail`:
    historical, over the last `window` returns of the market."""
    conditional_value_at_risk: Limit | None = None
    """Mean of the losses beyond the value at risk."""
    volatility: Limit | None = None
    """Standard deviation of the return of what is held over one bar."""
    turnover: Limit | None = None
    """Notional traded over equity, in `activity_window` bars."""
    order_rate: Limit | None = None
    """Orders in `activity_window` bars."""
    drawdown: Limit | None = None
    """Fall of equity from its peak, as a fraction."""
    daily_loss: Limit | None = None
    """Fall of equity since the day began (UTC), as a fraction."""
    loss_streak: Limit | None = None
    """Round trips in a row that lost."""
    window: Annotated[int, Field(ge=20, le=4_096)] = 256
    """Returns of the market that the risk of a position is estimated from."""
    tail: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Share of the returns that the value at risk looks beyond."""
    activity_window: Annotated[int, Field(ge=1, le=10_000)] = 24
    """Bars that turnover and order rate are counted over."""
    max_price_age: Positive = 3_600.0
    """Seconds after which a price is stale and nothing is ordered on it."""

    @model_validator(mode="after")
    def _losses_cool_down(self) -> Self:
        for name in ("drawdown", "daily_loss", "loss_streak"):
            limit: Limit | None = getattr(self, name)
            if limit is not None and limit.cool_down < 1:
                raise ValueError(
                    f"{name}.cool_down is {limit.cool_down}; a rule that closes positions needs 1 bar or more"
                )
        for name in ("drawdown", "daily_loss"):
            limit = getattr(self, name)
            if limit is not None and limit.hard > 1:
                raise ValueError(f"{name}.hard is {limit.hard}; expected a fraction of equity, at most 1")
        return self

    @classmethod
    def from_yaml(cls, source: Path | str) -> Self:
        """Limits of a YAML file, or of YAML text: a string with a line break, a colon or a brace.

        Raises
        ------
        SettingsError
            When the file cannot be read, or names an unknown limit, a value out of range, or a key twice.
        """
        text, name = str(source), "The limits"
        if isinstance(source, Path) or not {"\n", ":", "{"} & set(text):
            name = f"The limits in {source}"
            try:
                text = Path(source).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise SettingsError(f"{name} cannot be read as UTF-8 text: {error}") from None
        try:
            return cls.model_validate(read_yaml(text, name.replace("The", "YAML of the", 1)))
        except ValidationError as error:
            raise SettingsError(explain(error, cls, source=name)) from None
