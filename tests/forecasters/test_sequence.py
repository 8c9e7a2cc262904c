"""How sequences are cut, what their chunks count, and the modules that walk them."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trading_assets.config.settings import SequenceSettings
from trading_assets.errors import NotReadyError, SettingsError
from trading_assets.features.catalogue import SEQUENCE_NAMES
from trading_assets.forecasters import FORECASTERS, forecaster_class
from trading_assets.forecasters.sequence import ChunkTask, SequenceForecaster, chunk_starts, spans_of
from trading_assets.forecasters.training_data import TrainingData

SEQUENCES = [kind for kind in FORECASTERS if issubclass(forecaster_class(kind), SequenceForecaster)]
SMALL = {"gru": {}, "cnn_lstm": {"channels": 4, "kernel_size": 3}}
CHUNK, BURN_IN = 6, 4
N = 90
ROWS = np.r_[3:40, 44:50, 55:80]
"""Stretches of 37, 6 and 25 bars; the second has no room for a chunk."""
HELD_OUT = np.r_[80:84, 86:90]


def settings_of(**more) -> SequenceSettings:
    return SequenceSettings(chunk=CHUNK, burn_in=BURN_IN, **more)


def squares(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (outputs[:, 0] - y) ** 2


def data_of(seed: int = 0, rows: np.ndarray = ROWS, held_out: np.ndarray = HELD_OUT) -> TrainingData:
    rng = np.random.default_rng(seed)
    weight = np.round(rng.uniform(0, 2, N), 3)
    y = rng.integers(0, 2, N).astype(float)
    y[[45, 84]] = np.nan
    return TrainingData(rng.normal(size=(N, 2)).astype(np.float32), y, weight, rows, held_out)


def task_of(data: TrainingData | None = None, seed: int = 0, signs: np.ndarray | None = None) -> ChunkTask:
    data = data or data_of()
    return ChunkTask(data.Z, data, settings_of(), squares, seed, signs)


class FirstInput(nn.Module):
    """Answers with the bar's first input, and keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shown.append(x)
        return x[..., :1]


# Spans and chunks


@given(st.sets(st.integers(0, 60)))
def test_spans_are_the_stretches_of_consecutive_rows(rows):
    ordered = np.array(sorted(rows), dtype=np.int64)
    spans = spans_of(ordered)
    assert [row for low, high in spans for row in range(low, high)] == ordered.tolist()
    assert all(low < high for low, high in spans)
    assert all(spans[i][1] < spans[i + 1][0] for i in range(len(spans) - 1))


@given(
    lengths=st.lists(st.tuples(st.integers(1, 10), st.integers(1, 120)), min_size=1, max_size=6),
    chunk=st.integers(1, 30),
    burn_in=st.integers(0, 20),
    shift=st.integers(0, 60),
)
def test_no_chunk_leaves_its_span_and_none_that_fits_is_left_out(lengths, chunk, burn_in, shift):
    spans, at = [], 0
    for hole, length in lengths:
        spans.append((at + hole, at + hole + length))
        at += hole + length
    whole = chunk + burn_in
    expected = [
        first
        for low, high in spans
        for first in range(low + shift % chunk, high, chunk)
        if first + whole <= high
    ]
    if not expected:
        longest = max(high - low for low, high in spans)
        with pytest.raises(NotReadyError, match=rf"No stretch of {whole} bars .* longest has {longest}"):
            chunk_starts(spans, chunk, burn_in, shift)
        return
    starts = chunk_starts(spans, chunk, burn_in, shift).tolist()
    assert starts == expected
    scored = [bar for first in starts for bar in range(first + burn_in, first + whole)]
    assert len(scored) == len(set(scored))


@settings(max_examples=50)
@given(
    rows=st.lists(st.tuples(st.integers(1, 8), st.integers(1, 60)), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_every_epoch_has_chunks_where_any_stretch_is_long_enough(rows, seed):
    bars, at = [], 0
    for hole, length in rows:
        bars += range(at + hole, at + hole + length)
        at += hole + length
    n = at + 1
    data = TrainingData(
        np.zeros((n, 1), np.float32), np.zeros(n), np.ones(n), np.array(bars), np.zeros(0, int)
    )
    task = task_of(data, seed)
    if max(length for _, length in rows) < CHUNK + BURN_IN:
        with pytest.raises(NotReadyError, match="Lower chunk or bring more bars"):
            task.epoch(0)
        return
    known = set(bars)
    for number in range(5):
        for first in task.epoch(number).tolist():
            assert known.issuperset(range(first, first + BURN_IN + CHUNK))


# The task


def test_an_epoch_is_a_function_of_its_number_alone():
    task, again = task_of(), task_of()
    epochs = [task.epoch(number) for number in range(8)]
    for number in (5, 0, 3, 3, 7):
        np.testing.assert_array_equal(again.epoch(number), epochs[number])
    assert len({epoch.tobytes() for epoch in epochs}) == 8
    # It varies where the chunks begin, and in which order they come.
    assert len({int(epoch.min()) for epoch in epochs}) > 1
    assert any((np.diff(epoch) < 0).any() for epoch in epochs)
    assert any((task_of(seed=1).epoch(number) != epochs[number][:1]).any() for number in range(8))


def test_the_weight_of_chunks_is_that_of_the_bars_they_count():
    data = data_of()
    task = task_of(data)
    for number in range(4):
        items = task.epoch(number)
        for some in (items, items[:3], items[:1], items[:0]):
            counted = [bar for first in some for bar in range(first + BURN_IN, first + BURN_IN + CHUNK)]
            assert set(counted) <= set(ROWS)
            assert task.weight(some) == pytest.approx(sum(data.weight[counted]), abs=1e-10)


def test_the_loss_counts_each_bar_of_a_chunk_once_by_its_weight_and_none_of_its_burn_in():
    data = data_of()
    task, module = task_of(data), FirstInput()
    items = task.epoch(0)
    expected = sum(
        data.weight[bar] * (data.Z[bar, 0] - data.y[bar]) ** 2
        for first in items
        for bar in range(first + BURN_IN, first + BURN_IN + CHUNK)
    )
    assert float(task.loss(module, items)) == pytest.approx(expected, rel=1e-5)
    parts = sum(float(task.loss(module, part)) for part in np.array_split(items, 3))
    assert parts == pytest.approx(expected, rel=1e-5)
    # The module is shown the burn-in too.
    np.testing.assert_array_equal(module.shown[0][0], data.Z[items[0] : items[0] + BURN_IN + CHUNK])


def test_the_held_out_loss_is_the_weighted_mean_over_held_out_bars():
    data = data_of()
    module = FirstInput()
    expected = np.average((data.Z[HELD_OUT, 0] - data.y[HELD_OUT]) ** 2, weights=data.weight[HELD_OUT])
    assert task_of(data).held_out_loss(module) == pytest.approx(expected, rel=1e-5)
    # Stretch by stretch, and nothing else is shown.
    shown = [x[0].numpy() for x in module.shown]
    np.testing.assert_array_equal(np.concatenate(shown), data.Z[HELD_OUT])
    assert [len(x) for x in shown] == [4, 4]


def test_the_digest_is_of_all_that_is_learnt_from():
    digest = task_of().digest()
    assert task_of(seed=3).digest() == digest
    data = data_of()
    for name, position in (("Z", (20, 1)), ("y", 20), ("weight", 20)):
        other = data_of()
        getattr(other, name)[position] += 1
        assert task_of(other).digest() != digest, name
    fewer = TrainingData(data.Z, data.y, data.weight, ROWS[1:], HELD_OUT)
    assert task_of(fewer).digest() != digest
    fewer = TrainingData(data.Z, data.y, data.weight, ROWS, HELD_OUT[1:])
    assert task_of(fewer).digest() != digest


# Mirrored chunks


def test_about_half_of_the_chunks_are_shown_mirrored_with_the_other_answer():
    data = data_of()
    asked = []

    def watched(outputs, y):
        asked.append(y.reshape(-1, CHUNK))
        return squares(outputs, y)

    signs = np.array([-1, 1], dtype=np.float32)
    task, module = ChunkTask(data.Z, data, settings_of(), watched, 0, signs), FirstInput()
    torch.manual_seed(0)
    mirrored = []
    for number in range(30):
        items = task.epoch(number)
        task.loss(module, items)
        for first, x, y in zip(items, module.shown[-1], asked[-1], strict=True):
            bars = np.arange(first, first + BURN_IN + CHUNK)
            turned = bool((x[:, 0].numpy() != data.Z[bars, 0]).any())
            sign = signs if turned else np.ones(2, np.float32)
            np.testing.assert_array_equal(x, data.Z[bars] * sign)
            answers = data.y[bars[BURN_IN:]]
            np.testing.assert_array_equal(y, 1 - answers if turned else answers)
            mirrored.append(turned)
    assert len(mirrored) > 100
    assert 0.35 < np.mean(mirrored) < 0.65


@pytest.mark.parametrize("kind", SEQUENCES)
def test_only_two_classes_of_the_catalogues_inputs_can_be_mirrored(kind: str, monkeypatch):
    monkeypatch.setenv("TRADING_ASSETS_DEVICE", "cpu")
    rng = np.random.default_rng(0)
    names = list(SEQUENCE_NAMES)[:3]
    X = pd.DataFrame(rng.normal(size=(200, 3)).astype(np.float32), columns=names)
    y = (X[names[0]] > 0).to_numpy(float)
    how = {"hidden_size": 4, "chunk": 32, "burn_in": 8, "steps": 2, "mirror": True, **SMALL[kind]}
    make = forecaster_class(kind)
    assert np.isfinite(make(**how).fit(X, y).predict_proba(X)).all()
    with pytest.raises(SettingsError, match="mirror is for two classes"):
        make(**how).fit(X, y + (X[names[1]] > 1))
    with pytest.raises(SettingsError, match="mirror is for two classes"):
        make(task="regression", **how).fit(X, X[names[0]])
    with pytest.raises(SettingsError, match="moon_phase"):
        make(**how, inputs="all").fit(X.assign(moon_phase=X[names[0]]), y)


# The modules


def module_of(kind: str, n_inputs: int = 3, n_outputs: int = 2, seed: int = 0):
    forecaster = forecaster_class(kind)
    torch.manual_seed(seed)
    made = forecaster.Module(n_inputs, forecaster.Settings(hidden_size=6, **SMALL[kind]), n_outputs)
    return made.eval()


def test_small_settings_are_there_for_every_sequence_model():
    assert list(SMALL) == SEQUENCES


@pytest.mark.parametrize("kind", SEQUENCES)
def test_no_output_of_a_module_sees_a_later_bar(kind: str):
    """Nor another sequence of the batch: neither in the values nor in the gradient."""
    module, x = module_of(kind), torch.randn(3, 40, 3)
    other = x.clone()
    other[:, 25:] = torch.randn(3, 15, 3)
    with torch.no_grad():
        one, two = module(x), module(other)
    assert one.shape == (3, 40, 2)
    assert torch.equal(one[:, :25], two[:, :25])
    assert (one[:, 25:] != two[:, 25:]).all(dim=-1).any(dim=1).all()
    x.requires_grad_(True)
    module(x)[1, 24].sum().backward()
    moved = x.grad.abs().sum(dim=-1)
    assert (moved[1, 10:25] > 0).all()
    assert moved[1, 25:].sum() == 0
    assert moved[[0, 2]].sum() == 0


@pytest.mark.parametrize("kind", SEQUENCES)
def test_the_gradient_of_a_module_is_that_of_small_differences(kind: str):
    module, x = module_of(kind, n_outputs=1), torch.randn(2, 12, 3)
    module(x).square().sum().backward()
    for name, weight in module.named_parameters():
        direction, before = torch.randn_like(weight), weight.detach().clone()
        direction /= direction.norm()
        sides = []
        with torch.no_grad():
            for step in (1e-2, -1e-2):
                weight.copy_(before + step * direction)
                sides.append(float(module(x).double().square().sum()))
            weight.copy_(before)
        slope = (sides[0] - sides[1]) / 2e-2
        assert float((weight.grad * direction).sum()) == pytest.approx(slope, abs=5e-3, rel=2e-2), name


@pytest.mark.parametrize("kind", SEQUENCES)
def test_a_step_bar_by_bar_is_the_module(kind: str):
    """With the state of each sequence in a flat array of its own."""
    module, x = module_of(kind, n_inputs=3), torch.randn(2, 60, 3, generator=torch.manual_seed(1))
    weights = {name: value.numpy() for name, value in module.state_dict().items()}
    step = forecaster_class(kind).encoder_type()(weights)
    states = np.zeros((2, step.state_size), dtype=np.float32)
    hidden = [[step(row, state).copy() for row, state in zip(bar, states, strict=True)]
              for bar in x.transpose(0, 1).numpy()]  # fmt: skip
    with torch.no_grad():
        expected = module.encode(x)
    assert expected.shape == (2, 60, 6)
    np.testing.assert_allclose(np.array(hidden).transpose(1, 0, 2), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", SEQUENCES)
def test_a_forecaster_trains_in_half_precision_and_in_parts_to_nearly_the_same(kind: str, monkeypatch):
    monkeypatch.setenv("TRADING_ASSETS_DEVICE", "cpu")
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32), columns=list("abc"))
    y = (X["a"] > 0).to_numpy(float)
    how = {"hidden_size": 4, "chunk": 32, "burn_in": 8, "steps": 20, "batch_size": 5, "dropout": 0.0}
    how |= {"mirror": False, "learning_rate": 0.03, "weight_decay": 0.01, "averaging": 0.5, **SMALL[kind]}
    plain, half, parts = (
        forecaster_class(kind)(**how, **more).fit(X, y).predict_proba(X)[:, 1]
        for more in ({}, {"precision": "bf16"}, {"micro_batches": 3})
    )
    assert plain.std() > 0.02
    np.testing.assert_allclose(parts, plain, rtol=0, atol=1e-4)
    assert 1e-7 < np.abs(half - plain).max() < 0.02
