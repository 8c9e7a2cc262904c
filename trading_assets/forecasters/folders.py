"""A fitted forecaster in a folder: what it is, its weights, its preprocessor, its calibrators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from trading_assets.errors import ArtifactError, TradingAssetsError
from trading_assets.forecasters.calibration import calibrator_from_json
from trading_assets.forecasters.preprocessing import PreprocessorManager
from trading_assets.registry.digests import sha256_file

if TYPE_CHECKING:
    from trading_assets.forecasters.base import ModelAdapter

Model = TypeVar("Model", bound="ModelAdapter")
FORMAT = 1


def write_model(model: ModelAdapter, folder: Path) -> None:
    """Write a fitted model into a folder, which is made where it is not there."""
    preprocessor = model.preprocessor_  # of what was not fitted nothing is touched
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("calibrator*.json"):
        stale.unlink()
    model.save_weights(folder)
    about = {
        "format": FORMAT,
        "kind": model.kind,
        "seed": model.seed_,
        "task": model.task_,
        "settings": model.settings_.model_dump(mode="json"),
        "preprocessor": preprocessor.digest,
        "digest": sha256_file(folder / model.file),
    }
    if model.task_ == "classification":
        about["classes"] = model.classes_.tolist()
    else:
        about["center"], about["scale"] = model.center_, model.scale_
    _write(folder / "model.json", about)
    _write(folder / "features.json", model.feature_names_in_)
    _write(folder / "training.json", model.training_)
    preprocessor.save(folder)
    if model.calibrator_ is not None:
        _write(folder / "calibrator.json", model.calibrator_.to_json())
    for fold, calibrator in model.fold_calibrators_.items():
        _write(folder / f"calibrator_fold{fold}.json", calibrator.to_json())


def read_model(kind: type[Model], folder: Path) -> Model:
    """The fitted model in a folder; see `ModelAdapter.load`."""
    try:
        return _read_model(kind, folder)
    except TradingAssetsError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ArtifactError(
            f"{folder} does not hold all of a {kind.kind} ({type(error).__name__}: {error}); restore it, "
            "or fit it again."
        ) from error


def _read_model(kind: type[Model], folder: Path) -> Model:
    about = _read(folder / "model.json")
    if about["kind"] != kind.kind or about["format"] != FORMAT:
        raise ArtifactError(
            f"{folder} holds a {about['kind']} of format {about['format']}, expected a {kind.kind} of "
            f"format {FORMAT}; forecasters.load_forecaster opens any kind."
        )
    if sha256_file(folder / kind.file) != about["digest"]:
        # LightGBM ends the process when its file is damaged.
        raise ArtifactError(f"{folder / kind.file} is not what was saved; restore it, or fit it again.")
    model = kind(about["seed"], task=about["task"], **dict(kind.Settings(**about["settings"])))
    model.seed_, model.task_, model.settings_ = model.seed, model.task, model.settings
    model.preprocessor_ = PreprocessorManager.load(folder)
    if model.preprocessor_.digest != about["preprocessor"]:
        raise ArtifactError(f"The preprocessor in {folder} is not the one that its model was fitted with.")
    if _read(folder / "features.json") != model.feature_names_in_:
        raise ArtifactError(f"features.json in {folder} names other features than its preprocessor.")
    if model.task == "classification":
        model.classes_ = np.array(about["classes"])
    else:
        model.center_, model.scale_ = about["center"], about["scale"]
    model.training_ = _read(folder / "training.json")
    model.load_weights(folder)
    if (folder / "calibrator.json").exists():
        model.calibrator_ = calibrator_from_json(_read(folder / "calibrator.json"))
    for path in sorted(folder.glob("calibrator_fold*.json")):
        number = int(path.stem.removeprefix("calibrator_fold"))
        model.fold_calibrators_[number] = calibrator_from_json(_read(path))
    return model


def _write(path: Path, tree: Any) -> None:
    path.write_text(json.dumps(tree, indent=1) + "\n")


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())
