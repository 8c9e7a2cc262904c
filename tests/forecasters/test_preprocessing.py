"""Preprocessors: golden values, scikit-learn, scipy and pandas as oracles, and what every step promises."""

import json
from collections.abc import Callable
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save_file

from trading_assets.config.settings import (
    CNNLSTMSettings,
    FractionalDifference,
    GRUSettings,
    LightGBMSettings,
    PreprocessingStep,
    PrincipalComponents,
    QuantileTransform,
    RobustScale,
    Standardize,
    Winsorize,
)
from trading_assets.errors import ArtifactError, SchemaError, SettingsError
from trading_assets.execution.networks import Scaler
from trading_assets.features.table import FeatureTable
from trading_assets.forecasters.preprocessing import (
    PreprocessorManager,
    RobustScaler,
    check_columns,
)
from trading_assets.forecasters.preprocessing_steps import (
    BLOCK,
    STEPS,
    FractionalDifferencer,
    PrincipalProjection,
    QuantileTransformer,
    StandardScaler,
    Winsorizer,
)

Pipeline = tuple[PreprocessingStep, ...]
SHORT = FractionalDifference(order=0.4, tolerance=0.03)
"""Five weights."""
PIPELINES: dict[str, Pipeline] = {
    "winsorize": (Winsorize(lower=0.02, upper=0.97),),
    "robust_scale": (RobustScale(limit=3),),
    "standardize": (Standardize(),),
    "quantile_normal": (QuantileTransform(n_quantiles=50),),
    "quantile_uniform": (QuantileTransform(output="uniform"),),
    "fractional_difference": (SHORT,),
    "pca": (PrincipalComponents(n_components=3),),
    "nothing": (),
    "all": (
        Winsorize(),
        SHORT,
        RobustScale(),
        QuantileTransform(n_quantiles=20),
        FractionalDifference(order=1),
        Standardize(),
        PrincipalComponents(n_components=4),
    ),
}
SETTINGS = {kind.model_fields["step"].default: kind for kind in get_args(get_args(PreprocessingStep)[0])}
WARM_UP = 7
ROWS = np.r_[20:180, 200:350]


def table_of(seed: int = 0, n: int = 400) -> pd.DataFrame:
    """A random walk, noise, fat tails, ties, an almost constant and a constant column, after a warm-up."""
    rng = np.random.default_rng(seed)
    columns = {
        "walk": rng.normal(size=n).cumsum(),
        "noise": rng.normal(3, 0.1, size=n),
        "tails": rng.standard_t(2, size=n),
        "ties": rng.integers(0, 4, size=n),
        "rare": rng.random(n) > 0.9,
        "constant": np.full(n, 0.1),
    }
    X = pd.DataFrame(columns).astype(np.float32)
    X.iloc[:WARM_UP] = np.nan
    return X


@pytest.fixture(name="X")
def frame() -> pd.DataFrame:
    return table_of()


@pytest.fixture(params=PIPELINES.values(), ids=PIPELINES.keys())
def fitted(request, X: pd.DataFrame) -> PreprocessorManager:
    return PreprocessorManager(request.param).fit(X, ROWS)


def bits(a: np.ndarray) -> bytes:
    return a.tobytes()


def one_step(step: PreprocessingStep, x: np.ndarray) -> np.ndarray:
    """What a step fitted on columns makes of them."""
    return STEPS[step.step].fit(x, step).transform(x)


def ranks_of(x: np.ndarray, new: np.ndarray, output: str) -> np.ndarray:
    return QuantileTransformer.fit(x, QuantileTransform(output=output)).transform(new)[:, 0]


# What every preprocessor promises


def test_every_step_of_the_settings_is_there():
    assert STEPS.keys() == SETTINGS.keys()
    assert {step.step for steps in PIPELINES.values() for step in steps} == STEPS.keys()


def test_float32_comes_out_one_row_a_bar_one_column_a_name(fitted: PreprocessorManager, X):
    Z = fitted.transform(X)
    assert Z.dtype == np.float32
    assert Z.shape == (len(X), len(fitted.feature_names_out))
    assert fitted.feature_names_in == list(X.columns)


def test_bars_outside_the_training_rows_leave_no_trace(fitted: PreprocessorManager, X):
    """Not even those that a window reaches into from a training row after a hole."""
    outside = np.setdiff1d(np.arange(len(X)), ROWS)
    other = X.copy()
    noise = np.random.default_rng(1).normal(50, 99, size=(len(outside), X.shape[1]))
    other.iloc[outside] = noise.astype(np.float32)
    again = PreprocessorManager(fitted.steps).fit(other, ROWS)
    assert again.digest == fitted.digest
    learns = any(not isinstance(step, FractionalDifferencer) for step in fitted.steps_)
    assert (PreprocessorManager(fitted.steps).fit(other).digest != fitted.digest) == learns


def test_the_warm_up_passes_as_nan_and_the_first_full_window_is_a_number(fitted: PreprocessorManager, X):
    finite = np.isfinite(fitted.transform(X)).all(axis=1)
    assert not finite[: WARM_UP + fitted.lookback].any()
    assert finite[WARM_UP + fitted.lookback :].all()


def test_no_bar_depends_on_a_later_one_nor_on_one_before_its_lookback(fitted: PreprocessorManager, X):
    Z = fitted.transform(X)
    other = X.copy()
    other.iloc[250:] = other.iloc[250:] * 3 + 1
    changed = fitted.transform(other)
    assert bits(changed[:250]) == bits(Z[:250])
    assert (changed[250] != Z[250]).any()
    tail = fitted.transform(X.iloc[250 - fitted.lookback :])
    assert bits(tail[fitted.lookback :]) == bits(Z[250:])


def test_a_stream_says_what_transform_says_bit_for_bit(fitted: PreprocessorManager, X):
    push = fitted.stream()
    streamed = np.stack([push(row) for row in X.to_numpy()])
    assert streamed.dtype == np.float32
    assert bits(streamed) == bits(fitted.transform(X))


@settings(max_examples=25, deadline=None)
@given(
    values=hnp.arrays(np.float32, (40, 6), elements=st.floats(-1e6, 1e6, width=32)),
    steps=st.sampled_from(list(PIPELINES.values())),
)
def test_a_stream_equals_transform_on_any_bars(values: np.ndarray, steps: Pipeline):
    other = pd.DataFrame(values, columns=table_of().columns)
    fitted = PreprocessorManager(steps).fit(table_of(), ROWS)
    push = fitted.stream()
    assert bits(np.stack([push(row) for row in values])) == bits(fitted.transform(other))


@pytest.mark.parametrize("n_columns", [1, 64, 333])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_adds_up_a_bar_as_it_does_among_many(name: str, n_columns: int):
    """In float64: the cast to float32 hides sums that were added in another order."""
    x = np.random.default_rng(0).normal(size=(500, n_columns))
    few = {"n_components": min(n_columns, 16)} if name == "pca" else {}
    step = STEPS[name].fit(x, SETTINGS[name](**few))
    push = step.stream()
    assert bits(np.stack([push(row) for row in x])) == bits(step.transform(x))


def test_two_streams_of_one_preprocessor_do_not_share_their_memory(fitted: PreprocessorManager, X):
    values = X.to_numpy()
    one, other = fitted.stream(), fitted.stream()
    ours = []
    for i in range(10, 60):
        ours.append(one(values[i]))
        other(values[-i])
    assert bits(np.stack(ours)) == bits(fitted.transform(X.iloc[10:60]))


def test_a_stream_keeps_no_hold_of_the_row_it_was_given(fitted: PreprocessorManager, X):
    row = X.to_numpy()[100].copy()
    push = fitted.stream()
    out = push(row)
    kept = bits(out)
    row[:] = 99
    assert bits(out) == kept


def test_a_stream_refuses_what_is_not_one_bar(fitted: PreprocessorManager, X):
    with pytest.raises(SchemaError, match=r"shape \(5,\) was given, expected \(6,\)"):
        fitted.stream()(X.to_numpy()[100, :5])


def test_what_was_saved_transforms_the_same_bit_for_bit(fitted: PreprocessorManager, X, tmp_path):
    fitted.save(tmp_path)
    loaded = PreprocessorManager.load(tmp_path)
    assert loaded.digest == fitted.digest
    assert loaded.steps == fitted.steps
    assert loaded.lookback == fitted.lookback
    assert loaded.feature_names_in == fitted.feature_names_in
    assert loaded.feature_names_out == fitted.feature_names_out
    assert bits(loaded.transform(X)) == bits(fitted.transform(X))
    assert [type(step) for step in loaded.steps_] == [type(step) for step in fitted.steps_]


def test_saving_again_writes_the_same_bytes(fitted: PreprocessorManager, tmp_path):
    (tmp_path / "again").mkdir()
    fitted.save(tmp_path)
    PreprocessorManager.load(tmp_path).save(tmp_path / "again")
    for name in ("preprocessor.json", "preprocessor.safetensors"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_how_pandas_keeps_its_columns_makes_no_difference(fitted: PreprocessorManager, X):
    columnwise = pd.DataFrame({name: X[name].to_numpy().copy() for name in X.columns})
    rowwise = pd.DataFrame(np.ascontiguousarray(X.to_numpy()), columns=X.columns)
    for other in (columnwise, rowwise):
        assert PreprocessorManager(fitted.steps).fit(other, ROWS).digest == fitted.digest
        assert bits(fitted.transform(other)) == bits(fitted.transform(X))


def test_fitting_and_transforming_leave_the_table_as_it_was(fitted: PreprocessorManager):
    given_table = table_of().astype(np.float64)
    kept = given_table.copy()
    PreprocessorManager(fitted.steps).fit(given_table, ROWS).transform(given_table)
    pd.testing.assert_frame_equal(given_table, kept)


def test_training_rows_in_the_warm_up_are_not_learnt_from(fitted: PreprocessorManager, X):
    more = np.r_[0:WARM_UP, ROWS]
    assert PreprocessorManager(fitted.steps).fit(X, more).digest == fitted.digest


def test_a_table_without_training_rows_is_refused(fitted: PreprocessorManager, X):
    unfitted = PreprocessorManager(fitted.steps)
    with pytest.raises(SchemaError, match="at least one training row of one column; given are 0 rows of 6"):
        unfitted.fit(X, np.array([], dtype=np.int64))
    with pytest.raises(SchemaError, match="given are 400 rows of 0 columns"):
        unfitted.fit(X[[]])
    with pytest.raises(SchemaError, match=r"None of the 7 training rows is finite.*: walk, noise, tails"):
        unfitted.fit(X, np.arange(WARM_UP))
    with pytest.raises(SchemaError, match=r"never finite: tails\. Start after the warm-up"):
        unfitted.fit(X.assign(tails=np.float32(np.nan)), ROWS)


def test_whatever_the_order_of_steps_all_is_learnt_in_float64(X, tmp_path):
    steps = [step for pipeline in PIPELINES.values() for step in pipeline if len(pipeline) == 1]
    for step in steps:
        PreprocessorManager((RobustScale(), step)).fit(X, ROWS).save(tmp_path)
        learnt = load_file(tmp_path / "preprocessor.safetensors")
        assert {array.dtype for array in learnt.values()} == {np.dtype(np.float64)}


# Schema


def test_missing_and_extra_columns_are_named(fitted: PreprocessorManager, X):
    with pytest.raises(SchemaError, match=r"^Missing columns: noise; extra: none\.$"):
        fitted.transform(X.drop(columns="noise"))
    with pytest.raises(SchemaError, match=r"^Missing columns: none; extra: moon_phase\.$"):
        fitted.transform(X.assign(moon_phase=np.float32(0)))


def test_columns_in_another_order_are_refused_by_name(fitted: PreprocessorManager, X):
    with pytest.raises(SchemaError, match="column 1 is 'tails', expected 'noise'"):
        fitted.transform(X[["walk", "tails", "noise", "ties", "rare", "constant"]])


def test_columns_of_another_type_are_refused_by_name(fitted: PreprocessorManager, X):
    later = X.iloc[WARM_UP:]
    other = later.astype({"ties": np.int64, "walk": object})
    named = r"'walk' is object, expected float32, 'ties' is int64, expected float32; convert them with X\."
    with pytest.raises(SchemaError, match=named):
        fitted.transform(other)
    assert bits(fitted.transform(other.astype(np.float32))) == bits(fitted.transform(later))


def test_a_column_that_is_there_twice_is_refused(fitted: PreprocessorManager, X):
    twice = X[[*X.columns, "walk"]]
    with pytest.raises(SchemaError, match=r"more than once: walk; keep one"):
        fitted.transform(twice)
    with pytest.raises(SchemaError, match=r"more than once: walk; keep one"):
        PreprocessorManager(fitted.steps).fit(twice, ROWS)


def test_columns_that_are_no_numbers_are_refused_before_anything_is_fitted(X):
    with pytest.raises(SchemaError, match="no numbers: 'side' is object"):
        PreprocessorManager(()).fit(X.assign(side=pd.Series(["buy"] * len(X), dtype=object)), ROWS)


def test_a_long_list_of_columns_is_cut_after_ten_and_counted():
    expected = [f"c{i}" for i in range(25)]
    with pytest.raises(
        SchemaError, match="Missing columns: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 15 more;"
    ):
        check_columns(expected, pd.DataFrame())
    with pytest.raises(SchemaError, match=r"c9; extra: none\.$"):
        check_columns(expected[:10], pd.DataFrame())


# Artifacts


@pytest.fixture
def saved(X, tmp_path):
    PreprocessorManager(PIPELINES["all"]).fit(X, ROWS).save(tmp_path)
    return tmp_path


def edit(folder, change: Callable[[dict], object]) -> None:
    path = folder / "preprocessor.json"
    tree = json.loads(path.read_bytes())
    change(tree)
    path.write_text(json.dumps(tree))


def test_the_file_says_what_it_holds_in_plain_json(saved, X):
    tree = json.loads((saved / "preprocessor.json").read_bytes())
    assert tree["format"] == 1
    assert tree["steps"][1] == {"step": "fractional_difference", "order": 0.4, "tolerance": 0.03}
    assert tree["schema"] == {"names": list(X.columns), "dtypes": ["float32"] * 6}
    assert tree["names_out"] == ["pc_0", "pc_1", "pc_2", "pc_3"]
    assert tree["digest"] == PreprocessorManager.load(saved).digest


def test_another_format_is_refused(saved):
    edit(saved, lambda tree: tree.update(format=2))
    with pytest.raises(ArtifactError, match="has preprocessor format 2; this version reads 1"):
        PreprocessorManager.load(saved)


def test_a_step_of_another_version_is_refused(saved):
    edit(saved, lambda tree: tree["steps"][0].update(step="wavelet"))
    with pytest.raises(ArtifactError, match=r"'wavelet' found using 'step' does not match.*'winsorize'"):
        PreprocessorManager.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["steps"][2].update(limit=4.0),
        lambda tree: tree["steps"].pop(),
        lambda tree: tree["schema"]["names"].reverse(),
        lambda tree: tree["schema"]["dtypes"].__setitem__(0, "float64"),
        lambda tree: tree["names_out"].reverse(),
        lambda tree: tree.pop("digest"),
    ],
    ids=["setting", "step", "names", "dtypes", "names out", "digest"],
)
def test_a_file_that_was_edited_is_refused(saved, change):
    edit(saved, change)
    with pytest.raises(ArtifactError, match="is not what was saved: its digest is"):
        PreprocessorManager.load(saved)


def test_arrays_that_were_altered_are_refused(saved):
    path = saved / "preprocessor.safetensors"
    arrays = load_file(path)
    for name in arrays:
        altered = {key: value.copy() for key, value in arrays.items()}
        altered[name].flat[0] = np.nextafter(altered[name].flat[0], np.inf)
        save_file(altered, path)
        with pytest.raises(ArtifactError, match="is not what was saved"):
            PreprocessorManager.load(saved)
    save_file({key: value for key, value in arrays.items() if key != "0.low"}, path)
    with pytest.raises(ArtifactError, match="is not what was saved"):
        PreprocessorManager.load(saved)


@pytest.mark.parametrize("name", ["preprocessor.json", "preprocessor.safetensors"])
def test_a_file_that_is_missing_or_torn_is_refused(saved, name: str):
    whole = (saved / name).read_bytes()
    (saved / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="has no readable preprocessor"):
        PreprocessorManager.load(saved)
    (saved / name).unlink()
    with pytest.raises(ArtifactError, match=f"has no readable preprocessor .*{name}"):
        PreprocessorManager.load(saved)


def test_the_digest_changes_with_any_content(X):
    steps: Pipeline = (RobustScale(), QuantileTransform())
    others = [
        PreprocessorManager((RobustScale(limit=4), QuantileTransform())).fit(X, ROWS),
        PreprocessorManager((RobustScale(), QuantileTransform(output="uniform"))).fit(X, ROWS),
        PreprocessorManager(steps[:1]).fit(X, ROWS),
        PreprocessorManager(steps[::-1]).fit(X, ROWS),
        PreprocessorManager(steps).fit(X, ROWS[:-1]),
        PreprocessorManager(steps).fit(X.rename(columns={"walk": "run"}), ROWS),
        PreprocessorManager(steps).fit(X.astype({"walk": np.float64}), ROWS),
        PreprocessorManager(steps).fit(X[list(reversed(X.columns))], ROWS),
        PreprocessorManager(steps).fit(X, ROWS),
    ]
    digests = [manager.digest for manager in others]
    assert len(set(digests)) == len(digests)
    assert PreprocessorManager(steps).fit(X.copy(), ROWS.copy()).digest == digests[-1]


# Templates and bundles


@pytest.mark.parametrize(
    ("name", "model"), [("lightgbm", LightGBMSettings), ("gru", GRUSettings), ("cnn_lstm", CNNLSTMSettings)]
)
def test_the_template_of_a_model_type_is_the_default_of_its_settings(name: str, model):
    assert PreprocessorManager.for_model(name).steps == model().preprocessing


def test_a_template_that_is_not_there_names_those_that_are():
    with pytest.raises(SettingsError, match="no preprocessing template for 'lgbm'; known are lightgbm, gru"):
        PreprocessorManager.for_model("lgbm")


@pytest.mark.parametrize("steps", [(), (RobustScale(limit=2),), (Standardize(),)], ids=str)
def test_a_scaler_for_a_bundle_does_what_the_preprocessor_does(steps: Pipeline, X):
    manager = PreprocessorManager(steps).fit(X, ROWS)
    scaler = manager.as_scaler()
    values = X.to_numpy()
    assert bits(scaler.transform(values)) == bits(manager.transform(X))
    assert bits(Scaler(scaler.arrays())(values[30])) == bits(manager.transform(X)[30])
    restored = RobustScaler.from_json(json.loads(json.dumps(scaler.to_json())))
    assert bits(restored.transform(values)) == bits(manager.transform(X))


def test_an_empty_preprocessor_is_the_identity_with_no_limit(X):
    scaler = PreprocessorManager(()).fit(X, ROWS).as_scaler()
    assert scaler.center.tolist() == [0.0] * 6
    assert scaler.scale.tolist() == [1.0] * 6
    assert scaler.limit == np.inf


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        ((PrincipalComponents(n_components=2),), "pca of the preprocessing pca"),
        ((Winsorize(), RobustScale()), "winsorize of the preprocessing winsorize, robust_scale"),
        ((RobustScale(), Standardize()), "standardize of the preprocessing robust_scale, standardize"),
    ],
    ids=str,
)
def test_what_a_bundle_cannot_carry_is_named(steps: Pipeline, named: str, X):
    with pytest.raises(
        ArtifactError, match=f"A bundle cannot carry {named}; it carries a single robust_scale"
    ):
        PreprocessorManager(steps).fit(X, ROWS).as_scaler()


# Scaling


def former_robust_scaler(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Center and scale as they were before there were other steps."""
    low, center, high = np.percentile(X.astype(np.float64), [25, 50, 75], axis=0)
    spread = (high - low) / 1.349
    spread = np.where(spread > 0, spread, X.std(axis=0, dtype=np.float64))
    return center, np.where(spread > 0, spread, 1.0)


def test_robust_scaling_of_features_is_what_it_always_was(table: FeatureTable):
    features = table.frame.iloc[table.warm_up :]
    values = features.to_numpy()
    center, scale = former_robust_scaler(values)
    scaler = RobustScaler.fit(values)
    assert bits(scaler.center) == bits(center)
    assert bits(scaler.scale) == bits(scale)
    z = np.minimum(np.maximum((values - center) / scale, -5), 5).astype(np.float32)
    assert bits(scaler.transform(values)) == bits(z)
    manager = PreprocessorManager.for_model("lightgbm").fit(features)
    assert bits(manager.transform(features)) == bits(z)


def test_robust_scaling_agrees_with_scikit_learn():
    from sklearn.preprocessing import RobustScaler as Reference

    x = table_of().to_numpy()[WARM_UP:, :3].astype(np.float64)
    expected = np.clip(Reference().fit(x).transform(x) * 1.349, -5, 5)
    np.testing.assert_allclose(one_step(RobustScale(), x), expected, rtol=1e-6, atol=1e-7)


def test_standardizing_agrees_with_scikit_learn():
    from sklearn.preprocessing import StandardScaler as Reference

    x = table_of().to_numpy()[WARM_UP:].astype(np.float64)
    expected = np.clip(Reference().fit(x).transform(x), -2, 2)
    np.testing.assert_allclose(one_step(Standardize(limit=2), x), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("scaler", [RobustScaler, StandardScaler])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e-3, 1 / 3, 12_345.678])
def test_a_constant_column_becomes_0_and_is_not_blown_up_by_the_rounding_of_its_mean(scaler, value: float):
    fitted = scaler.fit(np.full((999, 1), value))
    assert fitted.scale.tolist() == [1.0]
    np.testing.assert_allclose(fitted.transform(np.array([[value]])), 0, atol=1e-9)


def test_a_column_whose_middle_half_is_one_value_is_divided_by_its_standard_deviation():
    x = np.zeros((100, 1))
    x[:10] = 4.0
    fitted = RobustScaler.fit(x)
    assert fitted.center.tolist() == [0.0]
    assert fitted.scale[0] == pytest.approx(np.sqrt(0.1 * 0.9) * 4)


def test_winsorizing_agrees_with_pandas(X):
    later = X.iloc[WARM_UP:].astype(np.float64)
    expected = later.clip(later.quantile(0.05), later.quantile(0.9), axis=1)
    out = one_step(Winsorize(lower=0.05, upper=0.9), later.to_numpy())
    np.testing.assert_allclose(out, expected.to_numpy(), rtol=1e-12)


def test_winsorizing_clips_at_the_golden_quantiles():
    fitted = Winsorizer.fit(np.arange(101.0)[:, None], Winsorize(lower=0.02, upper=0.9))
    np.testing.assert_allclose(fitted.transform(np.array([[-9.0], [50.0], [99.0]]))[:, 0], [2, 50, 90])


# Quantiles


@pytest.mark.parametrize("output", ["normal", "uniform"])
@pytest.mark.parametrize("n_quantiles", [2, 11, 200, 10_000])
def test_quantiles_agree_with_scikit_learn_inside_of_the_training_rows(output: str, n_quantiles: int):
    from sklearn.preprocessing import QuantileTransformer as Reference

    x = table_of(3, 1_000).to_numpy()[WARM_UP:, :4].astype(np.float64)
    new = table_of(4, 1_000).to_numpy()[WARM_UP:, :4].astype(np.float64)
    n = min(n_quantiles, len(x))
    reference = Reference(n_quantiles=n, output_distribution=output, subsample=None).fit(x)
    fitted = QuantileTransformer.fit(x, QuantileTransform(n_quantiles=n_quantiles, output=output))
    for values in (x, new):
        inside = (values > x.min(axis=0) + 1e-6) & (values < x.max(axis=0) - 1e-6)
        assert inside.mean() > 0.7
        assert inside[:, 3].mean() > 0.4
        mine, theirs = fitted.transform(values), reference.transform(values)
        np.testing.assert_allclose(mine[inside], theirs[inside], atol=1e-6)


def test_quantiles_agree_with_interpolation_by_scipy_where_there_are_no_ties():
    from scipy.interpolate import interp1d

    x = np.sort(np.random.default_rng(5).normal(size=101))
    fitted = QuantileTransformer.fit(x[:, None], QuantileTransform(n_quantiles=101, output="uniform"))
    grid = np.linspace(x[0], x[-1], 777)
    expected = interp1d(x, np.linspace(0, 1, 101))(grid)
    np.testing.assert_allclose(fitted.transform(grid[:, None])[:, 0], expected, atol=1e-12)


def test_beyond_the_training_rows_the_rank_stays_at_its_end():
    x = np.linspace(-1, 1, 101)[:, None]
    far = np.array([[-1e9], [-1.0], [1.0], [1e9]])
    assert ranks_of(x, far, "uniform").tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(
        ranks_of(x, far, "normal"), [-5.199338, -5.199338, 5.199338, 5.199338], rtol=1e-6
    )


def test_ties_take_the_middle_of_their_ranks_even_at_the_ends():
    x = np.repeat([0.0, 1.0, 2.0], [41, 20, 40])[:, None]
    fitted = QuantileTransformer.fit(x, QuantileTransform(n_quantiles=101, output="uniform"))
    ranks = fitted.transform(np.array([[0.0], [1.0], [2.0], [-0.1], [2.1]]))[:, 0]
    np.testing.assert_allclose(ranks, [0.2, 0.505, 0.805, 0, 1])


@pytest.mark.parametrize("n_rows", [1, 2, 50])
def test_a_constant_column_has_the_middle_rank(n_rows: int):
    x = np.full((n_rows, 1), 0.1)
    assert ranks_of(x, x[:1], "uniform").tolist() == [0.5]
    assert ranks_of(x, x[:1], "normal").tolist() == [0.0]


@settings(deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e3, 1e3)), st.integers(2, 70))
def test_ranks_never_fall_where_values_rise(x: np.ndarray, n_quantiles: int):
    step = QuantileTransform(n_quantiles=n_quantiles, output="uniform")
    grid = np.sort(np.concatenate([x, np.linspace(-1_100, 1_100, 50)]))
    ranks = QuantileTransformer.fit(x[:, None], step).transform(grid[:, None])[:, 0]
    assert (np.diff(ranks) >= -1e-12).all()
    assert ranks.min() >= 0 and ranks.max() <= 1


# Fractional differences


def weights_of(order: float, tolerance: float) -> np.ndarray:
    step = FractionalDifference(order=order, tolerance=tolerance)
    return FractionalDifferencer.fit(np.empty((0, 1)), step).weights


def test_the_weights_of_a_fractional_difference_are_golden():
    # Known values, fractional differencing.
    np.testing.assert_allclose(
        weights_of(0.4, 0.0299), [1, -0.4, -0.12, -0.064, -0.0416, -0.029952], rtol=1e-12
    )
    assert weights_of(0.4, 0.03).tolist() == weights_of(0.4, 0.0299)[:5].tolist()
    assert weights_of(2, 1e-6).tolist() == [1, -2, 1]


@settings(deadline=None)
@given(st.floats(0.05, 2), st.floats(1e-3, 0.5))
def test_the_weights_are_binomial_coefficients_down_to_the_tolerance(order: float, tolerance: float):
    from scipy.special import binom

    weights = weights_of(order, tolerance)
    k = np.arange(len(weights) + 50)
    exact = (-1.0) ** k * binom(order, k)
    np.testing.assert_allclose(weights, exact[: len(weights)], rtol=1e-6, atol=1e-12)
    assert (np.abs(weights) >= tolerance).all()
    assert (np.abs(exact[len(weights) :]) < tolerance * (1 + 1e-6)).all()


def test_a_difference_of_order_1_is_that_of_numpy(X):
    x = X.to_numpy()[WARM_UP:].astype(np.float64)
    out = one_step(FractionalDifference(order=1), x)
    assert np.isnan(out[0]).all()
    assert out[1:].tolist() == np.diff(x, axis=0).tolist()


@pytest.mark.parametrize("n", [1, 54, 55, 56, BLOCK + 54, BLOCK + 55, 3 * BLOCK])
def test_fractional_differences_agree_with_pandas_and_scipy(n: int):
    from scipy.signal import lfilter

    step = FractionalDifference(order=0.4, tolerance=1e-3)
    x = np.random.default_rng(n).normal(size=(n, 2)).cumsum(axis=0)
    weights = weights_of(0.4, 1e-3)
    window = STEPS[step.step].lookback(step) + 1
    assert window == len(weights) == 55
    out = one_step(step, x)
    rolling = pd.DataFrame(x).rolling(window).apply(lambda w: weights[::-1] @ w, raw=True)
    np.testing.assert_allclose(out, rolling.to_numpy(), rtol=1e-9, atol=1e-12)
    filtered = lfilter(weights, [1.0], x, axis=0)
    np.testing.assert_allclose(out[window - 1 :], filtered[window - 1 :], rtol=1e-9, atol=1e-12)


def test_a_hole_empties_the_windows_that_reach_it_and_no_other(X):
    fitted = PreprocessorManager((SHORT,)).fit(X, ROWS)
    holed = X.copy()
    holed.iloc[100, 2] = np.nan
    finite = np.isfinite(fitted.transform(holed))
    assert np.flatnonzero(~finite[50:, 2]).tolist() == list(range(50, 51 + fitted.lookback))
    assert finite[50:, [0, 1, 3, 4, 5]].all()


def test_lookbacks_add_up_and_are_known_before_fitting():
    assert PreprocessorManager((RobustScale(),)).lookback == 0
    assert PreprocessorManager((SHORT,)).lookback == 4
    assert PreprocessorManager((SHORT, RobustScale(), FractionalDifference(order=1))).lookback == 5


def test_stretches_too_short_for_a_window_are_refused(X):
    scattered = np.arange(20, 400, 3)
    with pytest.raises(
        SchemaError, match=r"None of the 127 training rows .* with more than 4 consecutive bars"
    ):
        PreprocessorManager((SHORT,)).fit(X, scattered)


def test_a_tolerance_that_needs_too_many_bars_is_refused():
    tiny = FractionalDifference(order=0.1, tolerance=1e-9)
    with pytest.raises(
        SettingsError, match=r"at order 0\.1 more than 10,000 weights reach the tolerance 1e-09"
    ):
        PreprocessorManager((tiny,)).lookback  # noqa: B018 - a property that may refuse


# Principal components


def test_principal_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    mix = np.random.default_rng(1).normal(size=(8, 8))
    x = np.random.default_rng(0).normal(size=(500, 8)) @ mix
    reference = PCA(n_components=5, svd_solver="full").fit(x)
    fitted = PrincipalProjection.fit(x, PrincipalComponents(n_components=5))
    signs = np.sign((fitted.components * reference.components_).sum(axis=1))
    np.testing.assert_allclose(fitted.components, reference.components_ * signs[:, None], atol=1e-9)
    np.testing.assert_allclose(fitted.transform(x), reference.transform(x) * signs, atol=1e-9)
    assert (fitted.components[np.arange(5), np.abs(fitted.components).argmax(axis=1)] > 0).all()
    variances = fitted.transform(x).var(axis=0)
    assert (np.diff(variances) < 0).all()


def test_turning_the_training_rows_round_does_not_turn_the_components():
    x = np.random.default_rng(2).normal(size=(300, 4)) * [4, 3, 2, 1]
    one, other = (PrincipalProjection.fit(rows, PrincipalComponents(n_components=4)) for rows in (x, -x))
    np.testing.assert_allclose(one.components, other.components, atol=1e-12)


def test_components_have_names_of_their_own(X):
    manager = PreprocessorManager((PrincipalComponents(n_components=2), Standardize())).fit(X, ROWS)
    assert manager.feature_names_out == ["pc_0", "pc_1"]


def test_more_components_than_columns_or_rows_are_refused(X):
    manager = PreprocessorManager((PrincipalComponents(n_components=7),))
    with pytest.raises(
        SettingsError, match=r"pca: 7 components .* there are 6 columns and 310 rows; .* to 6"
    ):
        manager.fit(X, ROWS)
    with pytest.raises(SettingsError, match=r"pca: 3 components .* 6 columns and 2 rows; .* to 2"):
        PreprocessorManager(PIPELINES["pca"]).fit(X, ROWS[:2])
