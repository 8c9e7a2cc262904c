"""Inference in plain numpy against the libraries that the networks were trained with."""

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from trading_assets.bundles.graph import PolicyGraph, example_inputs, to_onnx, to_torchscript
from trading_assets.config.settings import CNNLSTMSettings, GRUSettings
from trading_assets.errors import ArtifactError
from trading_assets.execution.ensemble import Member, PolicyNetwork
from trading_assets.execution.forecasters import Forecasters, probability_names
from trading_assets.execution.networks import (
    BLOCK,
    GRU,
    ActorNet,
    Encoder,
    Scaler,
    Trees,
    make_calibrator,
    sub,
)
from trading_assets.execution.schema import check_weights
from trading_assets.features.labels import forward_return
from trading_assets.features.table import FeatureTable
from trading_assets.forecasters.base import ModelAdapter
from trading_assets.forecasters.calibrators import CALIBRATORS, Calibrator, TemperatureCalibrator
from trading_assets.forecasters.cnn_lstm import CausalCNNLSTM, CNNLSTMForecaster
from trading_assets.forecasters.gru import CausalGRU, GRUForecaster
from trading_assets.forecasters.lightgbm import LightGBMForecaster
from trading_assets.forecasters.stacking import StackedForecasters

STOP = 1_740


@pytest.fixture(scope="module")
def features(table: FeatureTable) -> pd.DataFrame:
    return table.frame.iloc[:STOP]


@pytest.fixture(scope="module")
def calibrators() -> dict[str, Calibrator]:
    rng = np.random.default_rng(0)
    p = rng.beta(3, 3, size=800)
    y = (rng.random(800) < p**1.5).astype(float)
    return {name: kind().fit(p, y) for name, kind in CALIBRATORS.items()}


@pytest.fixture(scope="module")
def models(bars, features, calibrators) -> dict[str, Any]:
    """One fitted forecaster of each kind, each with another calibrator."""
    returns = forward_return(bars[:STOP], 1)
    up = np.where(np.isnan(returns), np.nan, returns > 0)
    chunks = {"chunk": 32, "burn_in": 8, "steps": 40, "learning_rate": 3e-3}
    made: dict[str, ModelAdapter] = {
        "lightgbm": LightGBMForecaster(0, n_estimators=40, num_leaves=15, min_child_samples=10),
        "gru": GRUForecaster(0, hidden_size=7, **chunks),
        "cnn_lstm": CNNLSTMForecaster(0, channels=6, kernel_size=3, hidden_size=8, **chunks),
    }
    for model, name in zip(made.values(), ("isotonic", "platt", "beta"), strict=True):
        model.fit(features, up).calibrator_ = calibrators[name]
    return made


@pytest.fixture(scope="module")
def stack(models) -> StackedForecasters:
    return StackedForecasters.stack(models)


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


@pytest.mark.parametrize("hidden_size", [1, 9])
@pytest.mark.parametrize("n_inputs", [1, 6])
def test_a_gru_stepped_bar_by_bar_equals_torch_over_the_sequence(n_inputs, hidden_size):
    torch.manual_seed(n_inputs)
    module = CausalGRU(n_inputs, GRUSettings(hidden_size=hidden_size)).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2)
    x = np.random.default_rng(0).normal(size=(200, n_inputs)).astype(np.float32)
    with torch.inference_mode():
        expected = module.encode(torch.from_numpy(x)[None])[0].numpy()
    step = GRU({name: value.numpy() for name, value in module.state_dict().items()})
    state = np.zeros(step.state_size, dtype=np.float32)
    hidden = np.array([step(row, state) for row in x])
    assert hidden.dtype == np.float32
    np.testing.assert_allclose(hidden, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(state, hidden[-1])
    assert expected.std() > 0.1


def step_of(models: dict[str, Any], kind: str) -> tuple[Encoder | GRU, int]:
    """What a fitted sequence forecaster takes a bar with, and from how many inputs."""
    weights = models[kind].weights()
    return (GRU if kind == "gru" else Encoder)(weights), len(models[kind].columns)


@pytest.mark.parametrize("kind", ["gru", "cnn_lstm"])
def test_an_encoder_keeps_all_its_memory_in_the_state_it_is_given(models, kind):
    encoder, n_inputs = step_of(models, kind)
    x = np.random.default_rng(0).normal(size=(30, n_inputs)).astype(np.float32)
    states = np.zeros((2, encoder.state_size), dtype=np.float32)
    alone = [encoder(row, states[0]).copy() for row in x]
    other = np.zeros(encoder.state_size, dtype=np.float32)
    for row, expected in zip(x, alone, strict=True):
        encoder(-row, other)
        np.testing.assert_array_equal(encoder(row, states[1]), expected)
    np.testing.assert_array_equal(states[0], states[1])


@pytest.mark.parametrize("kind", ["gru", "cnn_lstm"])
def test_a_hidden_state_that_was_handed_out_is_never_written_again(models, kind):
    encoder, n_inputs = step_of(models, kind)
    state = np.zeros(encoder.state_size, dtype=np.float32)
    x = np.random.default_rng(0).normal(size=(5, n_inputs)).astype(np.float32)
    given, copies = [], []
    for row in x:
        given.append(encoder(row, state))
        copies.append(given[-1].copy())
    state[:] = 0
    np.testing.assert_array_equal(given, copies)
    assert len(np.unique(copies, axis=0)) == len(x)


def test_trees_score_what_lightgbm_scores(models, features):
    trees = models["lightgbm"]
    z = trees.preprocessor_.transform(features.dropna())
    expected = trees.booster_.predict(z, raw_score=True)
    network = Trees(trees.trees())
    np.testing.assert_allclose([network(row) for row in z], expected, rtol=0, atol=1e-12)
    assert len(network.roots) == 40 and expected.std() > 0.05


def test_trees_take_the_side_that_lightgbm_takes_on_a_threshold(models, features):
    trees = models["lightgbm"]
    arrays = trees.trees()
    inner = np.isfinite(arrays["threshold"]) & (arrays["children"][:, 0] != np.arange(len(arrays["value"])))
    # LightGBM splits at -1e-35 to tell 0 from what is below, and takes what lies closer to 0 for 0.
    inner &= np.abs(arrays["threshold"]) > 1e-34
    base = trees.preprocessor_.transform(features.dropna()[:1])[0]
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


def test_many_rows_are_scored_as_each_of_them_and_take_no_more_memory_than_a_few(models, features):
    network = Trees(models["lightgbm"].trees())
    z = models["lightgbm"].preprocessor_.transform(features.dropna())
    many = np.random.default_rng(0).permutation(np.concatenate([z] * 6))[: 9 * BLOCK + 7]
    peaks = []
    for n in (BLOCK, len(many)):
        tracemalloc.start()
        scores = network.batch(many[:n])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    np.testing.assert_array_equal(scores, [network(row) for row in many])
    assert peaks[1] - scores.nbytes < 1.2 * peaks[0]


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
    trees = models["lightgbm"]
    z, network = trees.preprocessor_.transform(features.dropna()), Trees(trees.trees())
    np.testing.assert_array_equal(network.batch(z), [network(row) for row in z])


@pytest.mark.parametrize("method", CALIBRATORS)
def test_a_calibrator_says_of_a_number_what_it_says_of_an_array(method: str, calibrators):
    apply = make_calibrator(calibrators[method].to_json())
    p = np.r_[0.0, 1e-9, np.random.default_rng(0).random(2_000), 1 - 1e-9, 1.0]
    np.testing.assert_array_equal(apply(p), [apply(float(value)) for value in p])
    assert np.isfinite(apply(p)).all()


def test_forecasters_say_what_the_fitted_models_say(stack, models, features, calibrators):
    """Through trees, encoders, heads and calibrators of the network that ships."""
    X = features.dropna()
    said = stack.table(features)
    assert said.drop(index=X.index).isna().all(axis=None)
    said = said.loc[X.index]
    assert list(said.columns) == [f"h{i}" for i in range(8)] + ["p_lightgbm", "p_gru", "p_cnn_lstm"]
    for (kind, model), method in zip(models.items(), ("isotonic", "platt", "beta"), strict=True):
        raw = model.predict_proba(X, calibrated=False)[:, 1]
        expected = calibrators[method].transform(raw)
        np.testing.assert_allclose(said[f"p_{kind}"], expected, atol=1e-6 if kind == "lightgbm" else 1e-5)
        assert np.abs(expected - raw).max() > 0.01 and said[f"p_{kind}"].std() > 1e-4
    stack.require_parity(stack.table(features), features, models)


@pytest.mark.parametrize("kind", ["lightgbm", "gru", "cnn_lstm"])
def test_a_table_that_differs_from_its_models_is_refused_by_the_model_s_name(stack, models, features, kind):
    table = stack.table(features)
    table[f"p_{kind}"] += 1e-3
    with pytest.raises(ArtifactError, match=f"p_{kind} differs from the trained {kind} on 1117 of 1117 bars"):
        stack.require_parity(table, features, models)


def test_a_forecaster_without_a_calibrator_does_not_ship(models):
    bare = models["gru"].clone()
    bare.__dict__.update({**models["gru"].__dict__, "calibrator_": None})
    with pytest.raises(ArtifactError, match="The gru forecaster has no calibrator"):
        StackedForecasters.stack({**models, "gru": bare})


def test_a_calibrator_of_several_classes_says_what_its_fit_says():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([2, 2, 2], size=500)
    y = np.array([rng.choice(3, p=row**2 / (row**2).sum()) for row in p])
    fitted = TemperatureCalibrator().fit(p, y)
    apply = make_calibrator(fitted.to_json())
    scores = fitted.to_json()["a"] * np.log(p)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(apply(p), expected, rtol=1e-12)
    np.testing.assert_array_equal(apply(p), [apply(row) for row in p])
    assert fitted.to_json()["a"] == pytest.approx(2, abs=0.35)


def test_a_table_of_bars_equals_asking_bar_by_bar_bit_for_bit(stack, features):
    network, values = stack.network, complete(features)
    states = np.zeros((2, network.state_size), dtype=np.float32)
    table = network.table(values, states[0])
    live = Forecasters(stack.architecture, stack.weights)
    out = np.empty(network.width, dtype=np.float32)
    scaled = stack.encoder_inputs(features)[-len(values) :]
    for x, row, z in zip(values, table, scaled, strict=True):
        np.testing.assert_array_equal(live(x, states[1], out), z)
        np.testing.assert_array_equal(out, row)
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(table[:, : features.shape[1]], values)


def test_a_table_can_be_continued_from_its_state(stack, features):
    network, values = stack.network, complete(features)
    state = np.zeros(network.state_size, dtype=np.float32)
    whole = network.table(values, state.copy())
    parts = [network.table(part, state) for part in np.split(values, [1, 300])]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_stack_survives_its_folder_bit_for_bit(stack, features, tmp_path):
    stack.write(tmp_path)
    pd.testing.assert_frame_equal(
        StackedForecasters.read(tmp_path).table(features), stack.table(features), check_exact=True
    )


def random_actor(n_inputs: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    sizes = {"0": (7, n_inputs), "1": (7, 7), "out": (3, 7)}
    weights = {}
    for name, shape in sizes.items():
        weights[f"{name}.weight"] = rng.normal(size=shape).astype(np.float32)
        weights[f"{name}.bias"] = rng.normal(size=shape[0]).astype(np.float32)
    return weights


def test_an_actor_gives_the_softmax_of_two_tanh_layers():
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
    encoder = models["cnn_lstm"].weights()
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
    member = Member(hybrid, n_features, Encoder)
    seen = member.see(market, z, np.zeros(member.state_size, dtype=np.float32))
    np.testing.assert_array_equal(seen[n_features:-2], hidden)
    np.testing.assert_array_equal(np.r_[seen[:4], seen[-2:]], np.r_[market[:4], market[-2:]])
    np.testing.assert_array_equal(market, before)
    assert Member(plain, n_features, Encoder).state_size == 0
    unchanged = Member(plain, n_features, Encoder).see(market, z, np.zeros(0, dtype=np.float32))
    np.testing.assert_array_equal(unchanged, market)


def test_any_sequence_forecaster_can_be_the_encoder(models, features, stack):
    """In the table, in the checks of a bundle and in its exports; the probabilities stay the same."""
    other = StackedForecasters.stack(models, encoder="gru")
    X = features.dropna()
    table, usual = other.table(features).loc[X.index], stack.table(features).loc[X.index]
    pd.testing.assert_frame_equal(table.filter(like="p_"), usual.filter(like="p_"), check_exact=True)
    gru = models["gru"]
    inputs = torch.from_numpy(gru._inputs(gru.preprocessor_.transform(X)))
    with torch.inference_mode():
        hidden = gru.module_.encode(inputs[None])[0].numpy()
    np.testing.assert_allclose(table.filter(regex=r"^h\d"), hidden, rtol=0, atol=1e-5)
    policy = bundle_of(other)
    check_weights(*policy)
    network = PolicyNetwork(*policy)
    state, account = torch.zeros(network.state_size), torch.tensor([0.5, -1.0])
    graph, rows = PolicyGraph(*policy), []
    for x in complete(features)[:50]:
        probabilities, state = graph(torch.tensor(x), account, state)
        rows.append(probabilities.numpy())
    np.testing.assert_allclose(rows, decide(policy, complete(features)[:50]), rtol=0, atol=1e-5)


def test_trees_and_unknown_kinds_cannot_be_the_encoder(models, stack):
    with pytest.raises(ArtifactError, match="The encoder 'svm' is not among lightgbm, gru, cnn_lstm"):
        StackedForecasters.stack(models, encoder="svm")
    with pytest.raises(ArtifactError, match="lightgbm has no hidden state"):
        _ = StackedForecasters.stack(models, encoder="lightgbm").network


def test_forecasters_of_different_features_are_not_stacked(models, features, calibrators):
    other = models["lightgbm"].clone().fit(features.iloc[:, :-1], np.arange(len(features)) % 2)
    other.calibrator_ = calibrators["platt"]
    with pytest.raises(ArtifactError, match="lightgbm and cnn_lstm were fitted on different features"):
        StackedForecasters.stack({**models, "lightgbm": other})


@pytest.fixture(scope="module")
def policy(stack: StackedForecasters) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return bundle_of(stack)


def bundle_of(stack: StackedForecasters) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Architecture and weights of a bundle of two random policies, the second with an encoder of its own."""
    rng = np.random.default_rng(3)
    width = stack.network.width
    weights = dict(stack.weights)
    for name in ("agent", "hybrid"):
        scaler = {"center": np.zeros(width), "scale": np.ones(width), "limit": np.array([5.0])}
        weights |= {f"members.{name}.scaler.{k}": v for k, v in scaler.items()}
        actor = random_actor(width + 2, rng)
        weights |= {f"members.{name}.net.{k}": (v * np.float32(0.3)) for k, v in actor.items()}
    encoder = sub(stack.weights, f"{stack.architecture['encoder']}.encoder")
    weights |= {f"members.hybrid.encoder.{k}": v * np.float32(1.1) for k, v in encoder.items()}
    members = [{"name": "agent", "weight": 0.3}, {"name": "hybrid", "weight": 0.7}]
    targets = {"targets": [-1, 0, 1]}
    return {**stack.architecture, **targets, "account": ["a", "b"], "members": members}, weights


def decide(policy: tuple[dict[str, Any], dict[str, np.ndarray]], values: np.ndarray) -> np.ndarray:
    """What the numpy network says of consecutive bars."""
    network = PolicyNetwork(*policy)
    state, account = np.zeros(network.state_size, dtype=np.float32), np.array([0.5, -1], dtype=np.float32)
    return np.array([network(x, account, state) for x in values])


@pytest.mark.parametrize("runtime", ["graph", "torchscript", "onnx"])
def test_every_export_says_what_the_numpy_network_says_of_a_bundle_with_a_gru(policy, features, runtime):
    import io

    import onnxruntime

    network, values = PolicyNetwork(*policy), complete(features)[:300]
    graph, example = PolicyGraph(*policy), example_inputs(policy[0], network)
    state, account = torch.zeros(network.state_size), torch.tensor([0.5, -1.0])
    if runtime == "onnx":
        session = onnxruntime.InferenceSession(to_onnx(graph, example), providers=["CPUExecutionProvider"])
        names = ("features", "account", "state")

        def run(*inputs):
            given = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
            return tuple(torch.from_numpy(out) for out in session.run(None, given))

    else:
        run = graph if runtime == "graph" else torch.jit.load(io.BytesIO(to_torchscript(graph, example)))
    rows, own = [], np.zeros(network.state_size, dtype=np.float32)
    for x in values:
        probabilities, state = run(torch.tensor(x), account, state)
        rows.append(probabilities.numpy())
        network(x, account.numpy(), own)
    expected = decide(policy, values)
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(state.numpy(), own, rtol=0, atol=1e-5)
    assert expected.std(axis=0).min() > 1e-3


@pytest.mark.parametrize("kind", ["lightgbm", "gru", "cnn_lstm"])
def test_every_forecaster_reaches_the_decisions_of_a_bundle(policy, features, kind):
    """Parity proves nothing of a part that is left out on both sides."""
    architecture, weights = policy
    name = "lightgbm.trees.value" if kind == "lightgbm" else f"{kind}.head.weight"
    other = {**weights, name: -weights[name]}
    values = complete(features)[:50]
    difference = decide((architecture, other), values) - decide(policy, values)
    assert np.abs(difference).max() > 1e-3
    assert f"p_{kind}" in probability_names(architecture)


def test_the_states_of_gru_encoder_and_members_do_not_touch_each_other(policy, features):
    """The state is GRU's and encoders' one after the other: moving one part moves only what reads it."""
    network, (x, *_) = PolicyNetwork(*policy), complete(features)
    rng = np.random.default_rng(0)
    sizes = [7, network.forecasters.encoder.state_size, network.members[1].state_size]
    assert network.state_size == sum(sizes)
    ends = np.cumsum(sizes)
    start = rng.normal(size=network.state_size).astype(np.float32)
    moved = start.copy()
    network.see(x, moved)
    for end, size in zip(ends, sizes, strict=True):
        part = slice(end - size, end)
        other, after = start.copy(), start.copy()
        other[part] += 0.5
        after[:] = other
        network.see(x, after)
        outside = np.ones(network.state_size, dtype=bool)
        outside[part] = False
        np.testing.assert_array_equal(after[outside], moved[outside])
        assert not np.array_equal(after[part], moved[part])
