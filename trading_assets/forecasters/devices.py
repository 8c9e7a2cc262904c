"""Where torch computes: which processor, why that one, and in which company."""

from __future__ import annotations

import logging
import os
import platform
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import distributed

from trading_assets.config.paths import DEVICE
from trading_assets.errors import SettingsError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """A chosen device.

    Attributes
    ----------
    name : str
        As torch calls it: `cpu`, `cuda:1`, `mps`.
    hardware : str
    reason : str
    """

    name: str
    hardware: str
    reason: str

    @property
    def torch(self) -> torch.device:
        return torch.device(self.name)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class DeviceManager:
    """Chooses CUDA, MPS or the CPU, and of several GPUs the one with the most free memory.

    Parameters
    ----------
    wanted : str, optional
        `auto`, `cpu`, `mps`, `cuda` or `cuda:N`; without it the environment's TRADING_ASSETS_DEVICE, or
        `auto`. Under torchrun `auto` and `cuda` take the GPU of the process's local rank.

    Examples
    --------
    >>> DeviceManager("cpu").choose().name  # doctest: +SKIP
    'cpu'
    """

    def __init__(self, wanted: str | None = None) -> None:
        self.wanted = wanted or os.environ.get(DEVICE) or "auto"

    def choose(self) -> Device:
        """The device, logged with its hardware and the reason.

        Raises
        ------
        SettingsError
            When the wanted device is unknown or not there.
        """
        device = self._choose()
        _log.info("torch computes on %s (%s): %s", device.name, device.hardware, device.reason)
        return device

    def _choose(self) -> Device:
        kind, _, number = self.wanted.partition(":")
        if kind not in {"auto", "cpu", "cuda", "mps"} or (
            number and not (kind == "cuda" and number.isdigit())
        ):
            raise SettingsError(
                f"{DEVICE} is '{self.wanted}'; expected auto, cpu, mps, cuda or cuda:N (N counts from 0)."
            )
        if kind == "cuda" or (kind == "auto" and torch.cuda.is_available()):
            return self._gpu(int(number) if number else None)
        if kind == "mps" or (kind == "auto" and torch.backends.mps.is_available()):
            if not torch.backends.mps.is_available():
                raise SettingsError(f"{DEVICE} is 'mps', but this machine has none; choose auto or cpu.")
            return Device("mps", platform.processor() or "Apple GPU", self._because("MPS is available"))
        return Device("cpu", _processor(), self._because("neither CUDA nor MPS is available"))

    def _gpu(self, number: int | None) -> Device:
        count = torch.cuda.device_count()
        if number is None and "LOCAL_RANK" in os.environ and count:
            number = int(os.environ["LOCAL_RANK"]) % count
            reason = f"local rank {os.environ['LOCAL_RANK']} of {count} GPUs"
        elif number is None and count:
            free = [torch.cuda.mem_get_info(i)[0] for i in range(count)]
            number = max(range(count), key=free.__getitem__)
            reason = f"most free memory ({free[number] / 2**30:.1f} GiB) of {count} GPUs"
        else:
            reason = "asked for"
        if number is None or number >= count:
            raise SettingsError(
                f"{DEVICE} is '{self.wanted}', but torch {torch.__version__} sees {count} CUDA devices; "
                "choose auto or cpu, or install a CUDA build of torch."
            )
        return Device(f"cuda:{number}", torch.cuda.get_device_name(number), reason)

    def _because(self, finding: str) -> str:
        return finding if self.wanted == "auto" else "asked for"


@dataclass(frozen=True)
class World:
    """The processes that train one module together."""

    rank: int
    size: int

    @classmethod
    def join(cls, device: Device) -> World:
        """The world that torchrun started this process in (gloo on CPU, nccl on GPUs), or one alone."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls(0, 1)
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.name.startswith("cuda") else "gloo")
        return cls(distributed.get_rank(), size)

    def sum(self, tensors: list[torch.Tensor]) -> None:
        """Replace tensors by their sum over all processes, in one message."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, part in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def share(self, tensors: list[torch.Tensor]) -> None:
        """Give all processes the tensors of the first."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, src=0)


def _processor() -> str:
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
