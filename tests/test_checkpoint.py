"""States on disk."""

import os
import subprocess
import sys
import time

import pytest
import torch

from attar.checkpoint import load_tree, save_tree, write_whole
from attar.types import AttarError

TREE = {
    "seed": 2**62 + 1,
    "rate": 0.1,
    "name": "dm",
    "none": None,
    "flag": True,
    "empty": {},
    "list": [1, [2.5, "x"], torch.arange(3)],
    "nested": {
        "weights": torch.rand(2, 3),
        "half": torch.rand(4).bfloat16(),
        "scalar": torch.tensor(1.5, dtype=torch.float64),
    },
}


def _same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


def test_a_tree_comes_back_bit_for_bit(tmp_path):
    save_tree(TREE, tmp_path / "state")
    assert _same(TREE, load_tree(tmp_path / "state"))


def test_tensors_that_share_memory_or_are_not_contiguous_come_back(tmp_path):
    base = torch.arange(6.0).view(2, 3)
    tree = {"a": base, "b": base.T, "c": base[:, 1]}
    save_tree(tree, tmp_path / "state")
    assert _same(tree, load_tree(tmp_path / "state"))


@pytest.mark.parametrize(
    ("value", "said"), [({"a": object()}, "holds a object"), ({"a": {1, 2}}, "holds a set"), ({3: 1}, "key 3")]
)
def test_what_is_not_a_tree_is_refused_by_its_type(tmp_path, value, said):
    with pytest.raises(TypeError, match=said):
        save_tree(value, tmp_path / "state")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["missing", "empty", "short", "text", "header", "foreign"])
def test_a_damaged_file_is_one_sentence(tmp_path, damage):
    path = tmp_path / "state"
    save_tree(TREE, path)
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "foreign":
        from safetensors.torch import save

        path.write_bytes(save({"x": torch.zeros(1)}))
    else:
        header = data[:8] + b"\xff" * 20 + data[28:]
        path.write_bytes({"empty": b"", "short": data[: len(data) // 2], "text": b"hello", "header": header}[damage])
    with pytest.raises(AttarError, match="is not a readable checkpoint") as caught:
        load_tree(path)
    assert str(path) in str(caught.value)


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "state"
    write_whole(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["state"]


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    """The process is killed while it writes versions one after the other."""
    path = tmp_path / "state"
    code = (
        "import sys; from pathlib import Path; from attar.checkpoint import write_whole\n"
        "for k in range(10**6):\n"
        "    write_whole(Path(sys.argv[1]), bytes([k % 251]) * 200_000)\n"
        "    if k == 2: print('going', flush=True)"
    )
    for delay in (0.0, 0.03, 0.07):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
        assert process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.wait()
        data = path.read_bytes()
        assert len(data) == 200_000
        assert len(set(data)) == 1
