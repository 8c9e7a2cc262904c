"""Where torch computes: what is asked for, what is there, and what is said about it."""

import logging
import os

import pytest
import torch

from trading_assets.errors import SettingsError
from trading_assets.forecasters.devices import Device, DeviceManager, World

VARIABLE = "TRADING_ASSETS_DEVICE"
GIB = 2**30

no_mps = pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has MPS")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, "LOCAL_RANK", "WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Their free memory in GiB, which a test may change."""
    free = [10.0, 71.5, 40.0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: (int(free[i] * GIB), 80 * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"GPU number {i}")
    return free


# Without a GPU


@no_mps
def test_without_a_gpu_the_cpu_is_chosen(no_gpu):
    device = DeviceManager("auto").choose()
    assert (device.name, device.reason) == ("cpu", "neither CUDA nor MPS is available")
    assert device.hardware.endswith(f", {os.cpu_count()} cores")
    assert device.torch == torch.device("cpu")
    assert DeviceManager().choose() == device


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "cuda:5"])
def test_a_gpu_that_is_not_there_is_refused_with_what_to_do(no_gpu, wanted: str):
    told = (
        f"{VARIABLE} is '{wanted}', but torch .* sees 0 CUDA devices; choose auto or cpu, or install a CUDA"
    )
    with pytest.raises(SettingsError, match=told):
        DeviceManager(wanted).choose()


def test_a_local_rank_without_a_gpu_is_no_gpu(no_gpu, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(SettingsError, match="sees 0 CUDA devices"):
        DeviceManager("cuda").choose()


@no_mps
def test_mps_that_is_not_there_is_refused():
    with pytest.raises(SettingsError, match=f"{VARIABLE} is 'mps', but this machine has none"):
        DeviceManager("mps").choose()


# What may be asked for


@pytest.mark.parametrize(
    "wanted", ["gpu", "CUDA", "cuda:x", "cuda:-1", "cpu:0", "auto:1", "mps:0", ":1", " "]
)
def test_nonsense_is_refused_with_what_is_known(wanted: str):
    told = rf"{VARIABLE} is '{wanted}'; expected auto, cpu, mps, cuda or cuda:N \(N counts from 0\)"
    with pytest.raises(SettingsError, match=told):
        DeviceManager(wanted).choose()


def test_the_environment_is_asked_unless_something_is_given(monkeypatch, three_gpus):
    monkeypatch.setenv(VARIABLE, "cpu")
    device = DeviceManager().choose()
    assert (device.name, device.reason) == ("cpu", "asked for")
    assert DeviceManager("cuda:2").choose().name == "cuda:2"
    monkeypatch.setenv(VARIABLE, "nonsense")
    with pytest.raises(SettingsError, match=f"{VARIABLE} is 'nonsense'"):
        DeviceManager().choose()


def test_an_empty_variable_asks_for_nothing(monkeypatch, three_gpus):
    monkeypatch.setenv(VARIABLE, "")
    assert DeviceManager().choose().name == "cuda:1"


# Of several GPUs


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_of_several_gpus_the_one_with_the_most_free_memory_is_chosen(wanted: str, three_gpus):
    expected = Device("cuda:1", "GPU number 1", "most free memory (71.5 GiB) of 3 GPUs")
    assert DeviceManager(wanted).choose() == expected
    three_gpus[1] = 5
    expected = Device("cuda:2", "GPU number 2", "most free memory (40.0 GiB) of 3 GPUs")
    assert DeviceManager(wanted).choose() == expected


@pytest.mark.parametrize(("rank", "number"), [("0", 0), ("2", 2), ("4", 1)])
@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_under_torchrun_it_is_the_gpu_of_the_local_rank(
    wanted: str, rank: str, number: int, three_gpus, monkeypatch
):
    monkeypatch.setenv("LOCAL_RANK", rank)
    device = DeviceManager(wanted).choose()
    assert (device.name, device.reason) == (f"cuda:{number}", f"local rank {rank} of 3 GPUs")


def test_a_gpu_asked_for_by_number_is_taken_whatever_its_memory_and_rank(three_gpus, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert DeviceManager("cuda:0").choose() == Device("cuda:0", "GPU number 0", "asked for")
    with pytest.raises(SettingsError, match=r"is 'cuda:3', but torch .* sees 3 CUDA devices"):
        DeviceManager("cuda:3").choose()


def test_the_cpu_can_be_asked_for_beside_gpus(three_gpus):
    assert DeviceManager("cpu").choose().name == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_that_is_there_is_chosen():
    device = DeviceManager().choose()
    assert device.name.startswith("cuda:")
    assert device.hardware == torch.cuda.get_device_name(device.torch)
    assert torch.zeros(1, device=device.torch).is_cuda


# What is said


def test_the_choice_is_logged_with_hardware_and_reason(three_gpus, caplog):
    with caplog.at_level(logging.INFO, logger="trading_assets"):
        device = DeviceManager().choose()
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == (
        "torch computes on cuda:1 (GPU number 1): most free memory (71.5 GiB) of 3 GPUs"
    )
    assert device.to_json() == {
        "name": "cuda:1",
        "hardware": "GPU number 1",
        "reason": "most free memory (71.5 GiB) of 3 GPUs",
    }


def test_one_process_is_a_world_of_its_own(monkeypatch):
    """Which changes no tensor, and starts no process group."""
    for size in (None, "1"):
        if size:
            monkeypatch.setenv("WORLD_SIZE", size)
        world = World.join(Device("cpu", "this one", "test"))
        assert world == World(0, 1)
        tensors = [torch.arange(3.0), torch.ones(2, 2)]
        world.sum(tensors)
        world.share(tensors)
        assert torch.equal(tensors[0], torch.arange(3.0)) and torch.equal(tensors[1], torch.ones(2, 2))
    assert not torch.distributed.is_initialized()
