"""The training loop: against one written out by hand, interrupted, short of memory, and in two processes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.forecasters.distributed_training import SETTINGS, Points, learn, make_module
from trading_assets.config.settings import TrainingSettings
from trading_assets.errors import ArtifactError, DivergedError, SettingsError
from trading_assets.forecasters.devices import Device
from trading_assets.forecasters.training import TrainingRecord, train
from trading_assets.progress import listen

CPU = Device("cpu", "this one", "asked for")
ROOT = Path(__file__).parents[2]


def settings(**more) -> TrainingSettings:
    return TrainingSettings(**{**SETTINGS.model_dump(), **more})


def run(
    module: nn.Module | None = None, task: Points | None = None, *, seed: int = 0, patience: int = 0, **more
) -> tuple[nn.Module, TrainingRecord]:
    checkpoint = more.pop("checkpoint", None)
    module = make_module() if module is None else module
    task = task or Points()
    record = train(
        module, task, settings(**more), seed=seed, patience=patience, checkpoint=checkpoint, device=CPU
    )
    return module, record


def weights(module: nn.Module) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])


# The steps


def by_hand(factors: list[float], clip_norm: float, averaging: float) -> np.ndarray:
    """The averaged weights after a step for each factor of the learning rate."""
    task, module = Points(), make_module()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1.0, weight_decay=SETTINGS.weight_decay)
    epochs = [task.epoch(number) for number in range(len(factors))]
    batches = [items[first : first + 5] for items in epochs for first in (0, 5, 10)]
    average = None
    for factor, batch in zip(factors, batches, strict=False):
        optimizer.param_groups[0]["lr"] = SETTINGS.learning_rate * factor
        w, x, y = task.w[batch], task.x[batch], task.y[batch]
        loss = (w * (module(x) - y).square()[:, 0]).sum() / w.sum()
        optimizer.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum(p.grad.square().sum() for p in module.parameters()))
        for p in module.parameters():
            p.grad *= min(1.0, clip_norm / (float(norm) + 1e-6))
        optimizer.step()
        own = weights(module)
        average = own if average is None else averaging * average + (1 - averaging) * own
    return average


@pytest.mark.parametrize("averaging", [0.0, 0.8])
@pytest.mark.parametrize("clip_norm", [0.3, 1e6])
def test_a_training_is_the_one_written_out_by_hand(averaging: float, clip_norm: float):
    """AdamW on the weighted mean of each batch, clipped, its weights averaged from the first step on."""
    module, record = run(steps=8, averaging=averaging, clip_norm=clip_norm)
    np.testing.assert_allclose(weights(module), by_hand([1.0] * 8, clip_norm, averaging), rtol=1e-9)
    assert record.steps == 8
    other = by_hand([1.0] * 8, 0.3 if clip_norm > 1 else 1e6, averaging)
    assert np.abs(weights(module) - other).max() > 1e-4


@pytest.mark.parametrize(
    ("schedule", "warm_up_steps", "factors"),
    [
        ("constant", 0, [1, 1, 1, 1, 1, 1]),
        ("constant", 4, [0.25, 0.5, 0.75, 1, 1, 1]),
        ("cosine", 0, [1, 0.9330127018922193, 0.75, 0.5, 0.25, 0.0669872981077807]),
        ("cosine", 2, [0.5, 1, 1, 0.8535533905932737, 0.5, 0.1464466094067262]),
        ("cosine", 9, [1 / 9, 2 / 9, 3 / 9, 4 / 9, 5 / 9, 6 / 9]),
    ],
)
def test_the_learning_rate_warms_up_and_falls_along_a_cosine(schedule, warm_up_steps, factors):
    module, _ = run(steps=6, averaging=0.0, clip_norm=1e6, schedule=schedule, warm_up_steps=warm_up_steps)
    np.testing.assert_allclose(weights(module), by_hand(factors, 1e6, 0.0), rtol=1e-9)


@pytest.mark.parametrize("micro_batches", [2, 3, 4, 50])
def test_a_batch_in_unequal_parts_has_the_gradient_of_the_whole(micro_batches: int):
    """Five items in parts of two, two and one; the last window of an epoch has three."""
    sizes = []

    class Counted(Points):
        def loss(self, module, items):
            sizes.append(len(items))
            return super().loss(module, items)

    whole, record = run()
    parts, in_parts = run(task=Counted(), micro_batches=micro_batches)
    np.testing.assert_allclose(weights(parts), weights(whole), rtol=1e-10)
    np.testing.assert_allclose(
        [row["loss"] for row in in_parts.history], [row["loss"] for row in record.history], rtol=1e-6
    )
    expected = {2: [3, 2, 3, 2, 2, 1], 3: [2, 2, 1, 2, 2, 1, 1, 1, 1], 4: [2, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1]}
    epoch = expected.get(micro_batches, [1] * 13)
    assert sizes == epoch * 4


def test_a_batch_without_weight_moves_nothing_but_by_decay():
    task = Points()
    task.w[:] = 0
    module, _ = run(task=task, steps=3, weight_decay=0.0)
    np.testing.assert_array_equal(weights(module), weights(make_module()))


def test_a_module_ends_in_evaluation_mode_and_the_threads_are_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        module, record = run(make_module(dropout=0.5))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert not any(part.training for part in module.modules())
    assert record.device == {"name": "cpu", "hardware": "this one", "reason": "asked for"}
    assert (record.degradations, record.resumed_at) == ([], 0)


def test_the_seed_decides_dropout_and_nothing_else():
    dropped = [weights(run(make_module(0.5), seed=seed)[0]) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(dropped[0], dropped[1])
    assert (dropped[0] != dropped[2]).any()
    np.testing.assert_array_equal(*(weights(run(seed=seed)[0]) for seed in (1, 2)))


def test_weights_that_are_frozen_stay():
    module = make_module()
    module[0].weight.requires_grad_(False)
    before = module[0].weight.clone()
    run(module)
    assert torch.equal(module[0].weight, before)
    assert not torch.equal(module[3].weight, make_module()[3].weight)


def test_progress_and_history_are_told_at_every_look():
    told = []
    with listen(lambda fraction, text: told.append((fraction, text))):
        _, record = run(steps=8, evaluate_every=3, patience=9)
    assert [fraction for fraction, _ in told] == [3 / 8, 6 / 8, 1]
    assert [row["step"] for row in record.history] == [3, 6, 8]
    for (_, text), row in zip(told, record.history, strict=True):
        assert (
            text == f"step {row['step']:g}  loss {row['loss']:.4g}  held-out loss {row['held-out loss']:.4g}"
        )
    assert set(run()[1].history[0]) == {"step", "loss"}


# When to stop


class Walk(Points):
    """Pulls a module's weights to 10; held-out rows like them best at 1."""

    looked: list[float]

    def __init__(self) -> None:
        super().__init__()
        self.looked = []

    def loss(self, module, items):
        return len(items) * (module.weight - 10).square().mean()

    def weight(self, items):
        return float(len(items))

    def held_out_loss(self, module):
        assert not module.training
        self.looked.append(float(module.weight.mean()))
        return float((module.weight - 1).square().mean())


def at_zero() -> nn.Linear:
    module = nn.Linear(1, 1, bias=False).double()
    nn.init.zeros_(module.weight)
    return module


def test_early_stopping_keeps_the_best_averaged_weights():
    task, how = Walk(), {"learning_rate": 0.1, "weight_decay": 0.0, "evaluate_every": 2, "averaging": 0.7}
    module, record = run(at_zero(), task, patience=3, steps=100, **how)
    losses = [(w - 1) ** 2 for w in task.looked]
    best = int(np.argmin(losses))
    assert best > 2
    assert len(losses) == best + 1 + 3
    np.testing.assert_allclose([row["held-out loss"] for row in record.history], losses, rtol=1e-12)
    assert record.steps == 2 * (best + 1)
    assert module.weight.item() == task.looked[best]
    # Looking changes nothing: a training of so many steps that never looks ends there.
    plain, _ = run(at_zero(), Walk(), steps=record.steps, **how)
    assert torch.equal(plain.weight, module.weight)


def test_without_patience_all_steps_are_taken_and_held_out_rows_never_asked():
    task = Walk()
    _, record = run(at_zero(), task, steps=40)
    assert (record.steps, task.looked) == (40, [])


# Interruptions


class Interrupting(Points):
    """Is interrupted in a batch."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def loss(self, module, items):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().loss(module, items)


def interrupt_at(step: int) -> Callable[[float, str], None]:
    def listener(fraction: float, text: str) -> None:
        if text.startswith(f"step {step} "):
            raise KeyboardInterrupt

    return listener


HARD = {"patience": 2, "steps": 30, "schedule": "cosine", "warm_up_steps": 3}
"""Dropout, a look every 3 and a checkpoint every 4 steps, an epoch every 3; stops early, after 18 steps."""


def assert_same(one: tuple[nn.Module, TrainingRecord], other: tuple[nn.Module, TrainingRecord]) -> None:
    np.testing.assert_array_equal(weights(one[0]), weights(other[0]))
    assert (one[1].steps, one[1].history) == (other[1].steps, other[1].history)


@pytest.mark.parametrize(("step", "resumed_at"), [(6, 4), (9, 8), (15, 12)])
def test_a_training_interrupted_at_a_look_goes_on_as_if_nothing_had_been(
    tmp_path: Path, step: int, resumed_at: int
):
    whole = run(make_module(0.5), **HARD)
    assert whole[1].history[-1]["step"] == 18
    path = tmp_path / "folder" / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt), listen(interrupt_at(step)):
        run(make_module(0.5), checkpoint=path, **HARD)
    torch.manual_seed(99)
    resumed = run(make_module(0.5, seed=77), checkpoint=path, **HARD)
    assert_same(resumed, whole)
    assert resumed[1].resumed_at == resumed_at
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


def test_a_training_interrupted_again_and_again_in_its_batches_comes_to_the_same_end(tmp_path: Path):
    whole = run(make_module(0.5), micro_batches=2, **HARD)
    path = tmp_path / "checkpoint.pt"
    resumed_at = []
    for _ in range(20):
        try:
            module, record = run(make_module(0.5), Interrupting(11), micro_batches=2, checkpoint=path, **HARD)
            break
        except KeyboardInterrupt:
            resumed_at.append(torch.load(path)["counts"][0])
    assert resumed_at == sorted(set(resumed_at))
    assert len(resumed_at) >= 3
    assert_same((module, record), whole)


@pytest.mark.parametrize("patience", [0, 2])
def test_a_finished_training_is_found_finished(tmp_path: Path, patience: int):
    path, how = tmp_path / "checkpoint.pt", {**HARD, "patience": patience}
    first = run(make_module(0.5), checkpoint=path, **how)
    last = 30 if not patience else int(first[1].history[-1]["step"])
    again = run(make_module(0.5, seed=77), Interrupting(0), checkpoint=path, **how)
    assert_same(again, first)
    assert (first[1].resumed_at, again[1].resumed_at) == (0, last)
    assert not again[0].training


def test_a_checkpoint_of_other_settings_seed_patience_or_data_is_refused(tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    run(checkpoint=path)
    for other in (
        {"learning_rate": 0.1},
        {"steps": 13},
        {"seed": 1},
        {"patience": 1},
        {"task": Points(n=12)},
    ):
        with pytest.raises(
            ArtifactError, match="other settings, seed or data; delete it or give another path"
        ):
            run(checkpoint=path, **other)
    assert run(checkpoint=path)[1].resumed_at == 12


# Memory


class Small(nn.Module):
    """Has memory for so many items at once, and for more from another call on."""

    def __init__(self, most: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.inner, self.most, self.calls = make_module(dropout), most, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if len(x) > self.most and self.calls > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.inner(x)


@pytest.mark.parametrize(
    ("most", "degradations"),
    [
        (4, ["step 4: out of memory, 2 parts a batch"]),
        (2, ["step 4: out of memory, 2 parts a batch", "step 4: out of memory, 4 parts a batch"]),
        (1, [f"step 4: out of memory, {n} parts a batch" for n in (2, 4, 5)]),
    ],
)
def test_short_of_memory_a_batch_is_computed_in_smaller_parts(most: int, degradations: list[str]):
    whole, record = run()
    small, economical = run(Small(most))
    assert economical.degradations == degradations
    np.testing.assert_allclose(weights(small), weights(whole), rtol=1e-10)
    assert economical.steps == record.steps
    assert record.degradations == []


def test_lack_of_main_memory_is_told_from_other_errors():
    """torch has no class for it: the allocator of the CPU says it in words."""

    class Hungry(Small):
        def forward(self, x):
            self.calls += 1
            if self.calls == 3:
                torch.empty(2**55, dtype=torch.float64)
            return self.inner(x)

    hungry, record = run(Hungry(99))
    assert record.degradations == ["step 2: out of memory, 2 parts a batch"]
    np.testing.assert_allclose(weights(hungry), weights(run()[0]), rtol=1e-10)

    class Broken(Small):
        def forward(self, x):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run(Broken(99))


def test_a_training_that_diverges_is_refused_and_told_what_to_lower():
    with pytest.raises(
        DivergedError, match=r"diverged: its loss is (nan|inf) at step \d+. Lower learning_rate"
    ):
        run(learning_rate=1e30, clip_norm=1e30)


def test_a_training_that_went_on_remembers_that_memory_was_short(tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt), listen(interrupt_at(9)):
        run(Small(2), checkpoint=path)
    resumed = Small(2)
    resumed.calls = 5
    _, record = run(resumed, checkpoint=path)
    assert record.resumed_at == 8
    assert [text.partition(":")[0] for text in record.degradations] == ["step 4", "step 4"]
    np.testing.assert_allclose(weights(resumed), weights(run()[0]), rtol=1e-10)


def test_where_not_even_one_item_fits_it_is_said_what_to_lower():
    with pytest.raises(MemoryError, match="with a single item a part; lower chunk, burn_in or hidden_size"):
        run(Small(0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU to run out of memory of")
def test_where_the_gpu_is_too_small_training_moves_to_the_cpu():
    class OnlyCPU(Small):
        def forward(self, x):
            if x.is_cuda and self.calls >= 4:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(x)

    module = OnlyCPU(99)
    record = train(module, Points(), settings(), seed=0, device=Device("cuda:0", "a GPU", "test"))
    assert record.degradations[-1] == "step 4: out of memory, moved to the CPU"
    np.testing.assert_allclose(weights(module), weights(run()[0]), rtol=1e-6)


# Precision


def test_half_precision_on_the_cpu_trains_to_nearly_the_same():
    full, half = (
        run(make_module(dtype=torch.float32), Points(torch.float32), steps=60, precision=precision)[0]
        for precision in ("fp32", "bf16")
    )
    task, items = Points(torch.float32), np.arange(13)
    with torch.no_grad():
        before, *after = (float(task.loss(m, items)) for m in (make_module(dtype=torch.float32), full, half))
    assert after[0] < 0.5 * before
    assert after[1] == pytest.approx(after[0], rel=0.1)
    difference = np.abs(weights(full) - weights(half)).max()
    assert 1e-6 < difference < 0.05
    assert half[0].weight.dtype == torch.float32


def test_fp16_without_cuda_is_refused():
    with pytest.raises(SettingsError, match="fp16 needs CUDA, the device is cpu; use bf16 or fp32"):
        run(precision="fp16")


# Profiles


@pytest.mark.parametrize("steps", [1, 3, 30])
def test_a_training_is_profiled_where_the_environment_says_so(tmp_path: Path, monkeypatch, steps: int):
    plain, _ = run(steps=steps)
    folder = tmp_path / "traces"
    monkeypatch.setenv("TRADING_ASSETS_TRACE_DIR", str(folder))
    profiled, _ = run(steps=steps)
    np.testing.assert_array_equal(weights(profiled), weights(plain))
    if steps < 5:  # all of them only warm the profiler
        assert list(folder.iterdir()) == []
        return
    trace_file, table_file = sorted(folder.iterdir())
    assert trace_file.name.startswith(f"Points-{os.getpid()}-")
    assert (trace_file.suffix, table_file.suffix) == (".json", ".txt")
    trace = json.loads(trace_file.read_text())
    assert any(event.get("name") == "aten::linear" for event in trace["traceEvents"])
    table = table_file.read_text()
    assert "Self CPU" in table and "aten::" in table


def test_a_finished_training_is_found_finished_where_it_would_be_profiled(tmp_path: Path, monkeypatch):
    run(checkpoint=tmp_path / "checkpoint.pt")
    monkeypatch.setenv("TRADING_ASSETS_TRACE_DIR", str(tmp_path / "traces"))
    assert run(checkpoint=tmp_path / "checkpoint.pt")[1].resumed_at == 12


# Several processes


def test_two_processes_train_as_one_does(tmp_path: Path, monkeypatch):
    """Over gloo, from the first one's weights, with batches that do not halve, and with a checkpoint each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TRADING_ASSETS_DEVICE": "cpu"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, "-m", "tests.forecasters.distributed_training", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("TRADING_ASSETS_DEVICE", "cpu")
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    for patience in (0, 2):
        module, record = learn(tmp_path / f"alone{patience}.pt", patience)
        own, other = (load_file(tmp_path / f"patience{patience}-{rank}.safetensors") for rank in (0, 1))
        for name, value in module.state_dict().items():
            torch.testing.assert_close(own[name], value, rtol=0, atol=1e-5)
            assert torch.equal(own[name], other[name])
        assert first[str(patience)] == second[str(patience)]
        assert first[str(patience)]["steps"] == record.steps
        assert first[str(patience)]["resumed"] == record.history[-1]["step"]
        for row, alone in zip(first[str(patience)]["history"], record.history, strict=True):
            assert row == pytest.approx(alone, abs=1e-5)
    names = {"patience0.pt.0", "patience2.pt.0", "patience2.pt.1"}
    assert names == {file.name for file in tmp_path.glob("patience*.pt.*")}
    # Then the second process lost its checkpoint.
    for rank, (told, step) in enumerate(((first, 12), (second, 0))):
        assert re.search(rf"patience0\.pt\.{rank} is of step {step}, the checkpoints of the", told["refused"])
