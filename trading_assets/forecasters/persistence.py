"""A fitted forecaster in a folder: what it is, its weights, its preprocessor, its calibrators."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trading_assets.errors import ArtifactError, TradingAssetsError
from trading_assets.forecasters.calibrators import Calibrator, calibrator_from_json
from trading_assets.forecasters.preprocessing import PreprocessorManager
from trading_assets.registry.digests import sha256_file

FORMAT = 1
Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class FittedParts:
    """All of a fitted forecaster besides its weights.

    Attributes
    ----------
    kind, seed, task
    settings : dict
        In JSON's types.
    answers : dict
        `classes`, or `center` and `scale`.
    training : dict
        How the fit went.
    preprocessor : PreprocessorManager
    calibrator : Calibrator or None
    fold_calibrators : mapping of int to Calibrator
    """

    kind: str
    seed: int
    task: Task
    settings: dict[str, Any]
    answers: dict[str, Any]
    training: dict[str, Any]
    preprocessor: PreprocessorManager
    calibrator: Calibrator | None
    fold_calibrators: Mapping[int, Calibrator]

    def write(self, folder: Path, weights: Path) -> None:
        """Into a folder that holds the file of weights already."""
        for stale in folder.glob("calibrator*.json"):
            stale.unlink()
        about = {
            "format": FORMAT,
            "kind": self.kind,
            "seed": self.seed,
            "task": self.task,
            "settings": self.settings,
            "preprocessor": self.preprocessor.digest,
            "digest": sha256_file(weights),
            **self.answers,
        }
        _write(folder / "model.json", about)
        _write(folder / "features.json", self.preprocessor.feature_names_in)
        _write(folder / "training.json", self.training)
        self.preprocessor.save(folder)
        if self.calibrator is not None:
            _write(folder / "calibrator.json", self.calibrator.to_json())
        for fold, calibrator in self.fold_calibrators.items():
            _write(folder / f"calibrator_fold{fold}.json", calibrator.to_json())


def read_parts(folder: Path, kind: str, weights: Path) -> FittedParts:
    """What `FittedParts.write` wrote, of a forecaster of this kind.

    Raises
    ------
    ArtifactError
        When the folder holds another kind of model, or parts that are damaged or do not belong together.
    """
    about = _read(folder / "model.json")
    if about["kind"] != kind or about["format"] != FORMAT:
        raise ArtifactError(
            f"{folder} holds a {about['kind']} of format {about['format']}, expected a {kind} of "
            f"format {FORMAT}; forecasters.load_forecaster opens any kind."
        )
    if sha256_file(weights) != about["digest"]:
        # LightGBM ends the process when its file is damaged.
        raise ArtifactError(f"{weights} is not what was saved; restore it, or fit it again.")
    preprocessor = PreprocessorManager.load(folder)
    if preprocessor.digest != about["preprocessor"]:
        raise ArtifactError(f"The preprocessor in {folder} is not the one that its model was fitted with.")
    if _read(folder / "features.json") != preprocessor.feature_names_in:
        raise ArtifactError(f"features.json in {folder} names other features than its preprocessor.")
    calibrator = folder / "calibrator.json"
    return FittedParts(
        kind=kind,
        seed=about["seed"],
        task=about["task"],
        settings=about["settings"],
        answers={name: about[name] for name in ("classes", "center", "scale") if name in about},
        training=_read(folder / "training.json"),
        preprocessor=preprocessor,
        calibrator=calibrator_from_json(_read(calibrator)) if calibrator.exists() else None,
        fold_calibrators={
            int(path.stem.removeprefix("calibrator_fold")): calibrator_from_json(_read(path))
            for path in sorted(folder.glob("calibrator_fold*.json"))
        },
    )


@contextmanager
def damage_explained(folder: Path, kind: str) -> Iterator[None]:
    """Turn whatever a damaged folder raises into an `ArtifactError`."""
    try:
        yield
    except TradingAssetsError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ArtifactError(
            f"{folder} does not hold all of a {kind} ({type(error).__name__}: {error}); restore it, "
            "or fit it again."
        ) from error


def _write(path: Path, tree: Any) -> None:
    path.write_text(json.dumps(tree, indent=1) + "\n")


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())
