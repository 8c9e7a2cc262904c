"""Every error a user can cause. Each message says what was given, what was expected and how to mend it."""


class TradingAssetsError(Exception):
    """Base of all errors raised on purpose; the command line prints its text and no traceback."""


class ArgumentError(TradingAssetsError, TypeError, ValueError):
    """A function was given what it cannot work with: of another type, or text where a number belongs."""


class SettingsError(TradingAssetsError, ValueError):
    """A setting is unknown, out of range, or of the wrong type."""


class MarketError(TradingAssetsError):
    """A symbol or its bars cannot be used."""


class BarsRejected(MarketError):  # noqa: N818 - what happened to the bars, not to the program
    """Bars that cannot be repaired; the message names file, row, column, value and remedy.

    `report` is the `market.IngestReport` of the file, where there is one.
    """

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class NotReadyError(MarketError):
    """A symbol has too few bars for the eras it is asked to fill."""


class ArtifactError(TradingAssetsError):
    """A stored artifact is missing, incomplete, or not what its manifest says."""


class LeakageError(TradingAssetsError):
    """Something would look into the future."""


class DivergedError(TradingAssetsError):
    """A loss, weights or probabilities of a model that are not finite any more."""


class SchemaError(TradingAssetsError, ValueError):
    """Columns, or what an agent sees and does, are not those of the training; a value cannot be."""
