"""The example scripts run as a user runs them, and do what they say."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def run_example(name: str, folder: Path, *arguments: str) -> str:
    """Run a script in a folder of its own and return what it printed."""
    search = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_quickstart_beats_random_rows(tmp_path):
    printed = run_example("quickstart.py", tmp_path)
    found = re.findall(r"^(dm|random|full data) .* accuracy ([\d.]+)", printed, re.MULTILINE)
    assert [name for name, _ in found] == ["dm", "random", "full data"]
    dm, random, full = (float(score) for _, score in found)
    assert random + 5 < dm < full


def test_own_images_leaves_pictures_and_a_set(tmp_path):
    printed = run_example("own_images.py", tmp_path, "here")
    assert "('bar', 'cross', 'ring')" in printed
    pictures = sorted(path.relative_to(tmp_path / "here" / "small") for path in tmp_path.glob("here/small/*/*.png"))
    assert Counter(picture.parts[0] for picture in pictures) == {"bar": 5, "cross": 5, "ring": 5}
    card = json.loads((tmp_path / "here" / "distilled" / "card.json").read_text(encoding="utf-8"))
    assert card["counts"] == [5, 5, 5]
    assert card["made_by"]["name"] == "dm"


def test_five_rows_tell_the_graph_and_the_effect_of_all(tmp_path):
    pytest.importorskip("causallearn")
    printed = run_example("causal_table.py", tmp_path)
    assert "These 5 rows stand for 20,000" in printed
    graphs = re.findall(r"^graph of (?:all|distilled): (.+)$", printed, re.MULTILINE)
    assert len(graphs) == 2
    assert len(set(graphs)) == 1
    effects = re.findall(r"^a dose more, of \w+ \(n = 20,000\): (.+)\n  unadjusted: (.+)$", printed, re.MULTILINE)
    assert len(effects) == 2
    assert len(set(effects)) == 1
    assert effects[0][0].startswith("1.5")
    assert float(effects[0][1]) < 0


def test_the_worked_example_is_cells_of_a_notebook_in_about_twenty_lines():
    cells = (EXAMPLES / "causal_table.py").read_text(encoding="utf-8").split("\n# %% ")
    assert len(cells) == 5
    lines = [line for cell in cells[2:] for line in cell.splitlines()[1:] if line]  # the first two make the CSV
    assert len(lines) <= 20
    assert not any("read(" in line or "Moments" in line for line in lines)


@pytest.mark.slow
def test_a_swapped_part_is_another_method(tmp_path):
    printed = run_example("swap_a_part.py", tmp_path)
    losses = re.findall(r"^(dm|dm from means) +step +25 +loss +([\d.]+)", printed, re.MULTILINE)
    assert [name for name, _ in losses] == ["dm", "dm from means"]
    assert losses[0][1] != losses[1][1]
    assert len(re.findall(r"accuracy [\d.]+ ± [\d.]+ %", printed)) == 2


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_run_here(path):
    assert f'"{path.name}"' in Path(__file__).read_text(encoding="utf-8")
