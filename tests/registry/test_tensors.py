"""Arrays come back as they were given, from files whose bytes depend on nothing else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import save_file

from trading_assets.errors import ArtifactError
from trading_assets.registry.tensors import load_tensors, save_tensors

TYPES = st.sampled_from(["float32", "float64", "int64", "int32", "uint8", "bool", ">f8", "float16"])


@settings(deadline=None)
@given(array=hnp.arrays(TYPES, hnp.array_shapes(min_dims=0, min_side=0)), data=st.data())
def test_any_array_comes_back_however_it_lies_in_memory(
    array: np.ndarray, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tensors") / "a.safetensors"
    axes = data.draw(st.permutations(range(array.ndim)))
    view = array.transpose(axes)[tuple(slice(None, None, -1) for _ in axes)]
    save_tensors(path, {"a": view})
    back = load_tensors(path)[0]["a"]
    assert back.shape == view.shape and back.dtype == view.dtype.newbyteorder("=")
    np.testing.assert_array_equal(back, view)


def test_strided_arrays_keep_their_numbers(tmp_path: Path) -> None:
    grid = np.arange(12.0).reshape(3, 4)
    views = {"transposed": grid.T, "second": grid[:, ::2], "reversed": grid[::-1], "one": np.array(7.0)}
    save_tensors(tmp_path / "a", views)
    back, about = load_tensors(tmp_path / "a")
    assert about is None
    for name, view in views.items():
        np.testing.assert_array_equal(back[name], view)


def test_the_same_content_is_the_same_file_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from trading_assets.registry.tensors import save_tensors\n"
        "about = {name: [name] for name in 'edcba'}\n"
        "save_tensors(Path(sys.argv[1]), {'x': np.ones(3), 'a': np.zeros((2, 2), 'int64')}, about)\n"
    )
    files = [tmp_path / str(number) for number in range(4)]
    for file in files:
        subprocess.run([sys.executable, "-c", code, str(file)], check=True)
    assert len({file.read_bytes() for file in files}) == 1
    assert load_tensors(files[0])[1] == {name: [name] for name in "abcde"}


def test_the_bytes_are_those_that_torch_writes(tmp_path: Path) -> None:
    """So that weights keep their digests whichever side of the house they come from."""
    module = torch.nn.LSTM(3, 4)
    save_file(module.state_dict(), tmp_path / "torch")
    save_tensors(tmp_path / "numpy", {name: value.numpy() for name, value in module.state_dict().items()})
    assert (tmp_path / "torch").read_bytes() == (tmp_path / "numpy").read_bytes()


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00{}x"])
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_tensors(tmp_path / "a")
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_tensors(tmp_path / "missing")


def test_every_array_of_the_house_is_written_in_this_one_place() -> None:
    package = Path(__file__).parents[2] / "trading_assets"
    writers = [path for path in package.rglob("*.py") if "save_file" in path.read_text()]
    assert writers == [package / "registry" / "tensors.py"]
