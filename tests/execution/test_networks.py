"""Inference in plain numpy against the libraries that the networks were trained with."""

import numpy as np
import pandas as pd
import pytest

from trading_assets.config.settings import CNNLSTMSettings
from trading_assets.execution.networks import (
    ActorNet,
    Encoder,
    Forecasters,
    Member,
    Scaler,
    Trees,
    make_calibrator,
    sub,
)
from trading_assets.features.labels import forward_return
from trading_assets.features.table import FeatureTable
from trading_assets.forecasters.calibration import METHODS, calibrate
from trading_assets.forecasters.cnn_lstm import CNNLSTMForecaster
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.forecasters.stage1 import Stage1

STOP = 1_740


@pytest.fixture(scope="module")
def features(table: FeatureTable) -> pd.DataFrame:
    return table.frame.iloc[:STOP]


@pytest.fixture(scope="module")
def models(bars, features) -> tuple[LightGBMForecaster, CNNLSTMForecaster]:
    returns = forward_return(bars[:STOP], 1)
    up = np.where(np.isnan(returns), np.nan, returns > 0)
    trees = LightGBMForecaster(0, n_estimators=40, num_leaves=15, min_child_samples=10)
    sequence = CNNLSTMForecaster(0, channels=6, kernel_size=3, hidden_size=8, chunk=32, burn_in=8, steps=40)
    return trees.fit(features, up), sequence.fit(features, up)


@pytest.fixture(scope="module")
def calibrators() -> dict:
    rng = np.random.default_rng(0)
    p = rng.beta(3, 3, size=800)
    y = (rng.random(800) < p**1.5).astype(float)
    return {name: fit(p, y) for name, fit in METHODS.items()}


@pytest.fixture(scope="module")
def stage1(models, calibrators) -> Stage1:
    trees, sequence = models
    return Stage1.join(trees, calibrators["isotonic"], sequence, calibrators["beta"])


def complete(features: pd.DataFrame) -> np.ndarray:
    return features.dropna().to_numpy()


def test_sub_takes_the_weights_below_a_prefix_and_no_namesakes():
    weights = {"a.x": np.zeros(1), "a.b.y": np.ones(1), "ab.x": np.ones(2), "a": np.ones(3)}
    assert list(sub(weights, "a")) == ["x", "b.y"]
    assert list(sub(sub(weights, "a"), "b")) == ["y"]


def test_a_scaler_centres_divides_and_clips():
    scaler = Scaler({"center": np.array([1.0, 0]), "scale": np.array([2.0, 0.1]), "limit": [5.0]})
    x = np.array([[2, 0.2], [-100, 1], [12, -0.05]], dtype=np.float32)
    z = scaler(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z, [[0.5, 2], [-5, 5], [5, -0.5]], rtol=1e-6)
    np.testing.assert_array_equal(z, [scaler(row) for row in x])
    assert x[1, 0] == -100


@pytest.mark.parametrize("kernel_size", [2, 3, 7])
@pytest.mark.parametrize("n_inputs", [1, 6])
def test_an_encoder_stepped_bar_by_bar_equals_torch_over_the_sequence(kernel_size, n_inputs):
    import torch

    from trading_assets.forecasters.sequence import CausalCNNLSTM

    torch.manual_seed(kernel_size)
    settings = CNNLSTMSettings(channels=5, kernel_size=kernel_size, hidden_size=9)
    module = CausalCNNLSTM(n_inputs, settings).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2)
    x = np.random.default_rng(0).normal(size=(200, n_inputs)).astype(np.float32)
    with torch.inference_mode():
        expected = module.encode(torch.from_numpy(x)[None])[0].numpy()
    encoder = Encoder({name: value.numpy() for name, value in module.state_dict().items()})
    state = np.zeros(encoder.state_size, dtype=np.float32)
    hidden = np.array([encoder(row, state) for row in x])
    assert hidden.dtype == np.float32
    np.testing.assert_allclose(hidden, expected, atol=1e-5)
    assert expected.std() > 0.05


def test_an_encoder_keeps_all_its_memory_in_the_state_it_is_given(models, features):
    _, sequence = models
    encoder = Encoder(sequence.weights())
    x = np.random.default_rng(0).normal(size=(30, encoder.n_inputs)).astype(np.float32)
    states = np.zeros((2, encoder.state_size), dtype=np.float32)
    alone = [encoder(row, states[0]).copy() for row in x]
    other = np.zeros(encoder.state_size, dtype=np.float32)
    for row, expected in zip(x, alone, strict=True):
        encoder(-row, other)
        np.testing.assert_array_equal(encoder(row, states[1]), expected)
    np.testing.assert_array_equal(states[0], states[1])


def test_a_hidden_state_that_was_handed_out_is_never_written_again(models):
    encoder = Encoder(models[1].weights())
    state = np.zeros(encoder.state_size, dtype=np.float32)
    x = np.random.default_rng(0).normal(size=(5, encoder.n_inputs)).astype(np.float32)
    given = [encoder(row, state) for row in x]
    state[:] = 0
    for hidden, row in zip(given, x, strict=True):
        np.testing.assert_array_equal(hidden, encoder(row, state))


def test_trees_score_what_lightgbm_scores(models, features):
    trees, _ = models
    z = trees.preprocessor_.transform(complete(features))
    expected = trees.booster_.predict(z, raw_score=True)
    network = Trees(trees.trees())
    np.testing.assert_allclose([network(row) for row in z], expected, rtol=0, atol=1e-12)
    assert len(network.roots) == 40 and expected.std() > 0.05


def test_trees_take_the_side_that_lightgbm_takes_on_a_threshold(models, features):
    trees, _ = models
    arrays = trees.trees()
    inner = np.isfinite(arrays["threshold"]) & (arrays["children"][:, 0] != np.arange(len(arrays["value"])))
    # LightGBM splits at -1e-35 to tell 0 from what is below, and takes what lies closer to 0 for 0.
    inner &= np.abs(arrays["threshold"]) > 1e-34
    base = trees.preprocessor_.transform(complete(features)[:1])[0]
    rows = []
    for node in np.flatnonzero(inner):
        edge = np.float32(arrays["threshold"][node])
        for value in (np.nextafter(edge, np.float32(-9)), edge, np.nextafter(edge, np.float32(9))):
            row = base.copy()
            row[arrays["feature"][node]] = value
            rows.append(row)
    z = np.array(rows)
    network = Trees(arrays)
    expected = trees.booster_.predict(z, raw_score=True)
    np.testing.assert_allclose(network.batch(z), expected, rtol=0, atol=1e-12)


def test_a_value_on_a_threshold_goes_left():
    # LightGBM's decision type is "<=". Its own thresholds lie between float32 values; this one does not.
    stump = {
        "feature": np.array([1, 0, 0]),
        "threshold": np.array([0.5, np.inf, np.inf]),
        "children": np.array([[1, 2], [1, 1], [2, 2]]),
        "value": np.array([0.0, -1.0, 1.0]),
        "roots": np.array([0]),
        "depth": np.array([6]),
    }
    x = np.array([[9, 0.5], [9, np.nextafter(np.float32(0.5), np.float32(1))]], dtype=np.float32)
    network = Trees(stump)
    assert [network(row) for row in x] == network.batch(x).tolist() == [-1, 1]


def test_many_rows_of_trees_equal_row_by_row_bit_for_bit(models, features):
    trees, _ = models
    z, network = trees.preprocessor_.transform(complete(features)), Trees(trees.trees())
    np.testing.assert_array_equal(network.batch(z), [network(row) for row in z])


@pytest.mark.parametrize("method", METHODS)
def test_a_calibrator_says_of_a_number_what_it_says_of_an_array(method: str, calibrators):
    apply = make_calibrator(calibrators[method])
    p = np.r_[0.0, 1e-9, np.random.default_rng(0).random(2_000), 1 - 1e-9, 1.0]
    np.testing.assert_array_equal(apply(p), [apply(float(value)) for value in p])
    assert np.isfinite(apply(p)).all()


def test_forecasters_say_what_the_fitted_models_say(stage1, models, features, calibrators):
    """Through trees, encoder, head and calibrators of the network that ships."""
    trees, sequence = models
    X = features.dropna()
    said = stage1.table(features)
    assert said.drop(index=X.index).isna().all(axis=None)
    said = said.loc[X.index]
    expected = calibrate(calibrators["isotonic"], trees.predict_proba(X)[:, 1])
    np.testing.assert_allclose(said["p_lightgbm"], expected, atol=1e-6)
    expected = calibrate(calibrators["beta"], sequence.predict_proba(X)[:, 1])
    np.testing.assert_allclose(said["p_cnn_lstm"], expected, atol=1e-5)
    assert said["p_cnn_lstm"].std() > 0


def test_a_table_of_bars_equals_asking_bar_by_bar_bit_for_bit(stage1, features):
    network, values = stage1.network, complete(features)
    states = np.zeros((2, network.state_size), dtype=np.float32)
    table = network.table(values, states[0])
    live = Forecasters(stage1.architecture, stage1.weights)
    out = np.empty(network.width, dtype=np.float32)
    scaled = stage1.encoder_inputs(features)[-len(values) :]
    for x, row, z in zip(values, table, scaled, strict=True):
        np.testing.assert_array_equal(live(x, states[1], out), z)
        np.testing.assert_array_equal(out, row)
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(table[:, : features.shape[1]], values)


def test_a_table_can_be_continued_from_its_state(stage1, features):
    network, values = stage1.network, complete(features)
    state = np.zeros(network.state_size, dtype=np.float32)
    whole = network.table(values, state.copy())
    parts = [network.table(part, state) for part in np.split(values, [1, 300])]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_stage_1_survives_its_folder_bit_for_bit(stage1, features, tmp_path):
    stage1.write(tmp_path)
    pd.testing.assert_frame_equal(
        Stage1.read(tmp_path).table(features), stage1.table(features), check_exact=True
    )


def random_actor(n_inputs: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    sizes = {"0": (7, n_inputs), "1": (7, 7), "out": (3, 7)}
    weights = {}
    for name, shape in sizes.items():
        weights[f"{name}.weight"] = rng.normal(size=shape).astype(np.float32)
        weights[f"{name}.bias"] = rng.normal(size=shape[0]).astype(np.float32)
    return weights


def test_an_actor_gives_the_softmax_of_two_tanh_layers():
    import torch

    weights = random_actor(11, np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=11).astype(np.float32)
    t = {name: torch.from_numpy(value) for name, value in weights.items()}
    hidden = torch.from_numpy(x)
    for name in ("0", "1"):
        hidden = torch.tanh(torch.nn.functional.linear(hidden, t[f"{name}.weight"], t[f"{name}.bias"]))
    logits = torch.nn.functional.linear(hidden, t["out.weight"], t["out.bias"])
    probabilities = ActorNet(weights)(x)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, torch.softmax(logits, 0).numpy(), atol=1e-6)
    assert probabilities.sum() == pytest.approx(1, abs=1e-15)


def test_a_member_with_an_encoder_sees_its_own_hidden_state_in_place_of_the_shared_one(models):
    encoder = models[1].weights()
    n_hidden = encoder["lstm.weight_hh_l0"].shape[1]
    n_inputs = encoder["conv.weight"].shape[1]
    n_features, width = 4, 4 + n_hidden + 2
    rng = np.random.default_rng(0)
    plain = {
        "scaler.center": np.zeros(width),
        "scaler.scale": np.ones(width),
        "scaler.limit": np.array([100.0]),
    } | {f"net.{name}": value for name, value in random_actor(width + 4, rng).items()}
    hybrid = plain | {f"encoder.{name}": value for name, value in encoder.items()}
    market = rng.normal(size=width).astype(np.float32)
    z = rng.normal(size=n_inputs).astype(np.float32)
    before = market.copy()
    own = Encoder(encoder)
    hidden = own(z, np.zeros(own.state_size, dtype=np.float32))
    member = Member(hybrid, n_features)
    seen = member.see(market, z, np.zeros(member.state_size, dtype=np.float32))
    np.testing.assert_array_equal(seen[n_features:-2], hidden)
    np.testing.assert_array_equal(np.r_[seen[:4], seen[-2:]], np.r_[market[:4], market[-2:]])
    np.testing.assert_array_equal(market, before)
    assert Member(plain, n_features).state_size == 0
    unchanged = Member(plain, n_features).see(market, z, np.zeros(0, dtype=np.float32))
    np.testing.assert_array_equal(unchanged, market)
