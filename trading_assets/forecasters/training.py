"""The training loop of every torch module: sequence forecasters here, reward models above."""

from __future__ import annotations

import io
import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trading_assets.config.paths import trace_dir
from trading_assets.config.settings import TrainingSettings
from trading_assets.errors import ArtifactError, DivergedError, SettingsError
from trading_assets.forecasters.devices import Device, DeviceManager, World
from trading_assets.progress import report
from trading_assets.registry.digests import digest_json
from trading_assets.registry.files import replace_file

Items = NDArray[np.int64]
_log = logging.getLogger(__name__)


class Task(Protocol):
    """What a module is to learn: numbered items (chunks of bars, pairs of segments), and their loss."""

    def epoch(self, number: int) -> Items:
        """The items of an epoch in the order they are met; depends on the number alone."""

    def weight(self, items: Items) -> float:
        """What the summed loss of the items is divided by."""

    def loss(self, module: nn.Module, items: Items) -> torch.Tensor:
        """Summed loss of the items."""

    def held_out_loss(self, module: nn.Module) -> float:
        """Mean loss where nothing is learnt; asked for only when stopping early."""

    def to(self, device: torch.device) -> None:
        """Move the data."""

    def digest(self) -> str:
        """Of the data, so that a checkpoint of another task is not continued."""


@dataclass
class TrainingRecord:
    """How a training went.

    Attributes
    ----------
    device : dict
        Name, hardware, and why.
    steps : int
        Steps that the weights come from.
    history : list of dict
        Loss now and then, and the loss on held-out rows.
    degradations : list of str
        What was given up to fit into memory.
    resumed_at : int
        Step that a checkpoint was continued from, 0 for none.

    Examples
    --------
    See `train`.
    """

    device: dict[str, Any]
    steps: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    degradations: list[str] = field(default_factory=list)
    resumed_at: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def train(
    module: nn.Module,
    task: Task,
    settings: TrainingSettings,
    *,
    seed: int,
    patience: int = 0,
    checkpoint: Path | None = None,
    device: Device | None = None,
) -> TrainingRecord:
    """Fit a module in place with AdamW; it ends on the CPU, in evaluation mode, with the averaged weights.

    Started by torchrun, every process computes its share of each batch; the gradient is that of one process
    up to rounding.

    Parameters
    ----------
    module : nn.Module
    task : Task
    settings : TrainingSettings
    seed : int
        Of the random numbers drawn in training (dropout).
    patience : int
        Looks at the held-out rows without improvement until training stops; 0 takes all steps.
    checkpoint : Path, optional
        File that the state is written to, and continued from where it exists: the result is bit-identical
        to that of an uninterrupted training. It stays when the training is done, and then costs nothing.
    device : Device, optional
        Without it `DeviceManager` chooses.

    Raises
    ------
    ArtifactError
        When the checkpoint is another training's.
    SettingsError
        When the precision is not to be had on the device.
    DivergedError
        When the loss is not finite any more.

    Returns
    -------
    TrainingRecord

    Examples
    --------
    >>> train(module, task, settings, seed=0).steps  # doctest: +SKIP
    400
    """
    trainer = _Trainer(module, task, settings, seed, patience, checkpoint, device or DeviceManager().choose())
    exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with exact, _one_thread(), _traced(type(task).__name__) as tick:
        trainer.run(tick)
    return trainer.record


class _Trainer:
    def __init__(
        self,
        module: nn.Module,
        task: Task,
        settings: TrainingSettings,
        seed: int,
        patience: int,
        checkpoint: Path | None,
        device: Device,
    ) -> None:
        if settings.precision == "fp16" and not device.name.startswith("cuda"):
            raise SettingsError(f"precision fp16 needs CUDA, the device is {device.name}; use bf16 or fp32.")
        self.module, self.task, self.settings = module, task, settings
        self.world, self.device = World.join(device), device.torch
        if checkpoint is not None and self.world.size > 1:
            checkpoint = checkpoint.with_name(f"{checkpoint.name}.{self.world.rank}")
        self.patience, self.checkpoint = patience, checkpoint
        self.record = TrainingRecord(device.to_json())
        self.micro_batches = settings.micro_batches
        self._identity = digest_json([settings.model_dump(), seed, patience, task.digest()])
        torch.manual_seed(seed + self.world.rank)
        module.to(self.device).train()
        task.to(self.device)
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.world.share([p.data for p in self.parameters])
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "fp16")
        self.step, self.epoch, self.position = 0, 0, 0
        self.best, self.best_loss, self.best_step, self.looks = self.average, math.inf, 0, 0

    def run(self, tick: Any) -> None:
        self._resume()
        self._require_one_step()
        settings = self.settings
        items = self.task.epoch(self.epoch)
        while self.step < settings.steps and not self._stopped():
            if self.position >= len(items):
                self.epoch, self.position = self.epoch + 1, 0
                items = self.task.epoch(self.epoch)
            batch = items[self.position : self.position + settings.batch_size]
            self.position += len(batch)
            loss = self._learn(batch)
            if not math.isfinite(loss):
                raise DivergedError(
                    f"The training diverged: its loss is {loss} at step {self.step}. Lower learning_rate "
                    f"({settings.learning_rate}) or clip_norm ({settings.clip_norm})."
                )
            self.step += 1
            last = self.step == settings.steps
            if self.step % settings.evaluate_every == 0 or last:
                self._look(loss)
            if self.step % settings.checkpoint_every == 0 or last or self._stopped():
                self._save()
            tick()
        self.record.steps = self.best_step if self.patience else self.step
        with torch.no_grad():
            for parameter, kept in zip(
                self.parameters, self.best if self.patience else self.average, strict=True
            ):
                parameter.copy_(kept)
        self.module.to("cpu").eval()

    def _learn(self, batch: Items) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * self._schedule()
        loss = self._gradient(batch)
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        kept = self.settings.averaging if self.step else 0.0
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list[torch.Tensor](self.parameters), 1 - kept)
        return loss

    def _schedule(self) -> float:
        """Factor of the learning rate at this step."""
        settings = self.settings
        if self.step < settings.warm_up_steps:
            return (self.step + 1) / settings.warm_up_steps
        if settings.schedule == "constant":
            return 1.0
        done = (self.step - settings.warm_up_steps) / max(settings.steps - settings.warm_up_steps, 1)
        return 0.5 * (1 + math.cos(math.pi * done))

    def _gradient(self, batch: Items) -> float:
        """Leave the gradient of the batch's mean loss in the parameters; return the loss."""
        while True:
            try:
                return self._accumulate(batch)
            except RuntimeError as error:
                # On a CPU torch says it in words only.
                if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
                    raise
            # Out of the except block, whose traceback holds the tensors that did not fit.
            self._economise(len(batch))

    def _accumulate(self, batch: Items) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        whole = max(self.task.weight(batch), 1e-12)
        mine = batch[self.world.rank :: self.world.size]
        total = torch.zeros((), device=self.device)
        for part in np.array_split(mine, min(self.micro_batches, max(len(mine), 1))):
            if len(part):
                with self._autocast():
                    loss = self.task.loss(self.module, part) / whole
                self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        gradients = []
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        self.world.sum([*gradients, total])
        return float(total)

    def _autocast(self) -> Any:
        precision = self.settings.precision
        if precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16 if precision == "bf16" else torch.float16)

    def _economise(self, batch_size: int) -> None:
        """After running out of memory: smaller parts of a batch, at last the CPU."""
        if self.world.size > 1:
            raise MemoryError(
                "Out of memory in one of several processes; raise micro_batches, which all of them follow."
            )
        if self.micro_batches < batch_size:
            self.micro_batches = min(2 * self.micro_batches, batch_size)
            done = f"{self.micro_batches} parts a batch"
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        elif self.device.type != "cpu":
            self._move(torch.device("cpu"))
            done = "moved to the CPU"
        else:
            raise MemoryError(
                "Out of memory on the CPU with a single item a part; lower chunk, burn_in or hidden_size."
            )
        self.record.degradations.append(f"step {self.step}: out of memory, {done}")
        _log.warning("training, %s", self.record.degradations[-1])

    def _move(self, device: torch.device) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.device = device
        self.module.to(device)
        self.task.to(device)
        self.average = [tensor.to(device) for tensor in self.average]
        self.best = [tensor.to(device) for tensor in self.best]
        for state in self.optimizer.state.values():
            state.update({k: v.to(device) for k, v in state.items() if torch.is_tensor(v)})
        self.scaler = torch.amp.GradScaler(device.type, enabled=False)
        self.settings = self.settings.model_copy(update={"precision": "fp32"})
        self.micro_batches = self.settings.micro_batches

    def _look(self, loss: float) -> None:
        row = {"step": float(self.step), "loss": loss}
        if self.patience:
            row["held-out loss"] = held_out = self._held_out_loss()
            if held_out < self.best_loss:
                self.best_loss, self.best_step, self.looks = held_out, self.step, 0
                self.best = [tensor.clone() for tensor in self.average]
            else:
                self.looks += 1
        self.record.history.append(row)
        report(self.step / self.settings.steps, "  ".join(f"{k} {v:.4g}" for k, v in row.items()))

    def _held_out_loss(self) -> float:
        """Of the averaged weights, which are the ones that are kept."""
        own = [p.detach().clone() for p in self.parameters]
        self.module.eval()
        with torch.no_grad():
            for parameter, averaged in zip(self.parameters, self.average, strict=True):
                parameter.copy_(averaged)
            loss = self.task.held_out_loss(self.module)
            for parameter, mine in zip(self.parameters, own, strict=True):
                parameter.copy_(mine)
        self.module.train()
        return loss

    def _stopped(self) -> bool:
        return 0 < self.patience <= self.looks

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        state = {
            "identity": self._identity,
            "counts": [self.step, self.epoch, self.position, self.micro_batches, self.looks, self.best_step],
            "best_loss": self.best_loss,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average,
            "best": self.best,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "history": self.record.history,
            "degradations": self.record.degradations,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        replace_file(self.checkpoint, buffer.getbuffer())

    def _resume(self) -> None:
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        if state["identity"] != self._identity:
            raise ArtifactError(
                f"{self.checkpoint} belongs to a training with other settings, seed or data; delete it or "
                "give another path."
            )
        counts = state["counts"]
        self.step, self.epoch, self.position, self.micro_batches, self.looks, self.best_step = counts
        self.best_loss = state["best_loss"]
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.average, self.best = state["average"], state["best"]
        torch.set_rng_state(state["rng"].cpu())
        if state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu(), self.device)
        self.record.history, self.record.degradations = state["history"], state["degradations"]
        self.record.resumed_at = self.step
        _log.info("training continues at step %d from %s", self.step, self.checkpoint)

    def _require_one_step(self) -> None:
        """Processes that were stopped between their checkpoints would add up gradients of different steps."""
        total = torch.tensor([float(self.step)], device=self.device)
        self.world.sum([total])
        if float(total) != self.step * self.world.size:
            raise ArtifactError(
                f"{self.checkpoint} is of step {self.step}, the checkpoints of the other processes are not; "
                "delete them all."
            )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small products are slower on two threads, and rounded differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _traced(name: str) -> Iterator[Any]:
    """Profile a few steps into the folder that the environment's TRADING_ASSETS_TRACE_DIR names."""
    folder = trace_dir()
    if folder is None:
        yield lambda: None
        return
    from torch.profiler import profile, schedule

    def write(profiler: Any) -> None:
        path = folder / f"{name}-{os.getpid()}-{time.time_ns()}"
        profiler.export_chrome_trace(f"{path}.json")
        table = profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=30)
        path.with_suffix(".txt").write_text(table)

    folder.mkdir(parents=True, exist_ok=True)
    with profile(schedule=schedule(wait=2, warmup=2, active=10, repeat=1), on_trace_ready=write) as profiler:
        yield profiler.step
