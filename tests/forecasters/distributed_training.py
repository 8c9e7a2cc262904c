"""A small task for the training loop, and what each of several processes started by torchrun does with it."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import distributed, nn

from trading_assets.config.settings import TrainingSettings
from trading_assets.errors import ArtifactError
from trading_assets.forecasters.training import TrainingRecord, train

N_INPUTS = 4
SETTINGS = TrainingSettings(
    batch_size=5,
    micro_batches=1,
    learning_rate=0.02,
    weight_decay=0.1,
    steps=12,
    schedule="constant",
    warm_up_steps=0,
    clip_norm=1.0,
    averaging=0.8,
    precision="fp32",
    evaluate_every=3,
    checkpoint_every=4,
)
"""Three batches an epoch of `Points`, the last one of three items."""


class Points:
    """Weighted least squares on 13 points; 6 more are held out."""

    def __init__(self, dtype: torch.dtype = torch.float64, seed: int = 0, n: int = 13) -> None:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(n + 6, N_INPUTS))
        y = np.tanh(x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3] + 0.3 * rng.normal(size=(n + 6, 1))
        self.x, self.y = torch.tensor(x, dtype=dtype), torch.tensor(y, dtype=dtype)
        self.w = torch.tensor(rng.uniform(0.2, 3, size=n + 6), dtype=dtype)
        self.n, self.seed = n, seed

    def epoch(self, number: int) -> np.ndarray:
        return np.random.default_rng([self.seed, number]).permutation(self.n)

    def weight(self, items: np.ndarray) -> float:
        return float(self.w[items].sum())

    def loss(self, module: nn.Module, items: np.ndarray) -> torch.Tensor:
        return (self.w[items] * ((module(self.x[items]).to(self.y) - self.y[items]) ** 2)[:, 0]).sum()

    def held_out_loss(self, module: nn.Module) -> float:
        return float(((module(self.x[self.n :]) - self.y[self.n :]) ** 2).mean())

    def to(self, device: torch.device) -> None:
        self.x, self.y, self.w = self.x.to(device), self.y.to(device), self.w.to(device)

    def digest(self) -> str:
        return f"points {self.seed} {self.n} {self.x.dtype}"


def make_module(dropout: float = 0.0, dtype: torch.dtype = torch.float64, seed: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = nn.Linear(N_INPUTS, 6), nn.Tanh(), nn.Dropout(dropout), nn.Linear(6, 1)
    return nn.Sequential(*layers).to(dtype)


def learn(checkpoint: Path, patience: int) -> tuple[nn.Sequential, TrainingRecord]:
    """In each process from other weights: those of the first one count."""
    rank = int(os.environ.get("RANK", "0"))
    module = make_module(dtype=torch.float32, seed=3 + rank)
    task = Points(torch.float32)
    return module, train(module, task, SETTINGS, seed=0, patience=patience, checkpoint=checkpoint)


def main(folder: Path) -> None:
    rank = os.environ["RANK"]
    out: dict[str, object] = {}
    for patience in (0, 2):
        checkpoint = folder / f"patience{patience}.pt"
        module, record = learn(checkpoint, patience)
        save_file(module.state_dict(), folder / f"patience{patience}-{rank}.safetensors")
        _, again = learn(checkpoint, patience)
        out[str(patience)] = {"history": record.history, "steps": record.steps, "resumed": again.resumed_at}
    if rank == "1":
        (folder / "patience0.pt.1").unlink()
    try:
        learn(folder / "patience0.pt", 0)
    except ArtifactError as error:
        out["refused"] = str(error)
    (folder / f"{rank}.json").write_text(json.dumps(out))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
