"""What the command says: help, and one sentence for whatever a user may get wrong, as early as it can be known."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from attar import cli, methods
from attar.cli import ahead
from attar.types import AttarError, Budget


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Run ``attar`` here, in an empty folder; gives what it wrote, once its exit code is the one that is expected."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def call(words: str | list[str], code: int = 2):
        with pytest.raises(SystemExit) as ended:
            cli.main(words.split() if isinstance(words, str) else words)
        assert (ended.value.code or 0) == code
        return capsys.readouterr()

    return call


@pytest.fixture
def photos(tmp_path):
    """A folder with a folder of pictures a class."""
    source = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(6):
            pixels = np.clip(source.normal(level, 20, (8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    return tmp_path / "photos"


def option(page: str, name: str) -> str:
    """The line of an option on a page of help."""
    [line] = [line for line in page.splitlines() if line.startswith(f"│ --{name} ")]
    return line


# -- help


@pytest.mark.parametrize(
    ("method", "name", "default"),
    [
        ("k_center", "by", "class"),
        ("k_center", "keep", "none"),
        ("k_center", "quotas", "none"),
        ("k_center", "weighted", "False"),
        ("k_center", "deduplicate", "False"),
        ("k_center", "duplicates-within", "0.1"),
        ("k_center", "prefer-duplicate", "first"),
        ("k_center", "start", "mean"),
        ("kmeans", "by", "class"),  # asked of medoids, and what kmeans() gives are centroids
        ("craig", "weighted", "True"),  # craig's own, not everyone's
        ("dm", "lr", "1.0"),
    ],
)
def test_help_shows_the_default_of_every_option(said, method, name, default):
    assert f"[default: {default}]" in option(said(f"distill {method} --help", 0).out, name)


def test_a_switch_that_is_on_can_be_turned_off(said, tmp_path):
    said("distill craig digits --rows 10 --model mlp-4 --epochs 1 --no-weighted --out plain --json", 0)
    said("distill craig digits --rows 10 --model mlp-4 --epochs 1 --out weighted --json", 0)
    weighted = {
        name: json.loads((tmp_path / name / "settings.json").read_text())["method"]["fields"]["weighted"]
        for name in ("plain", "weighted")
    }
    assert weighted == {"plain": False, "weighted": True}


def test_direct_methods_offer_no_options_of_steps_and_refuse_them_in_a_sentence(said):
    page = said("distill herding --help", 0).out
    for name, value in (("steps", "5"), ("time-budget", "9"), ("memory", "1")):
        assert f"--{name}" not in page
        told = said(f"distill herding digits --ipc 1 --{name} {value}").err
        assert told == f"attar: herding gives its result at once and takes no steps: leave --{name} out.\n"
        option(said("distill dm --help", 0).out, name)


# -- the parser's errors look like all others


@pytest.mark.parametrize(
    ("words", "sentence", "more"),
    [
        ("distil dm digits", "There is no command 'distil': did you mean distill? Commands are demo, ", "attar"),
        ("--nothing", "There is no command '--nothing'. Commands are demo, ", "attar"),
        ("distill herdding digits", "There is no method 'herdding': did you mean herding?", "attar distill"),
        ("distill digits --ipc 1", "'digits' is data and no method: the method comes first", "attar distill"),
        ("distill dm --ipc 1", "DATA is missing: a dataset's name", "attar distill dm"),
        ("evaluate", "PATH is missing: a run", "attar evaluate"),
        ("compare digits", "--methods is missing: names of methods", "attar compare"),
        ("compare digits --methods dm --models", "--models needs a value: names of networks", "attar compare"),
        ("distill dm digits --ipc", "--ipc needs a value: rows to keep of each class.", "attar distill dm"),
        ("distill dm digits --per-class 1.5", "--per-class: give a whole number, not '1.5'.", "attar distill dm"),
        ("distill dm digits --fraction nan", "--fraction: give a number, not 'nan'.", "attar distill dm"),
        ("distill dm digits --lr high", "--lr: give a number, not 'high'.", "attar distill dm"),
        ("distill dm digits --time-budget 0", "--time-budget: give a number above 0, not 0.", "attar distill dm"),
        ("compare digits --methods dm --seeds 0", "--seeds: give a whole number of 1 or more, not 0.", "attar compare"),
        (
            "distill dm digits --perclass 1",
            "There is no option --perclass here: did you mean --per-class?",
            "distill dm",
        ),
        ("distill random digits --by klass", "--by: there is no 'klass': did you mean class? Give class or all.", ""),
        ("distill random digits --by none", "--by: there is no 'none': give class or all.", "attar distill random"),
        ("distill dm digits --seed 1 --seed 2", "--seed is given more than once: give it once.", "attar distill dm"),
        ("distill dm digits more", "'more' is one word too many: leave it out.", "attar distill dm"),
        ("distill dm digits --ipc 1 2", "'2' is one word too many: --ipc takes one value.", "attar distill dm"),
        (
            "distill herding digits --keep 3 8",
            "--keep takes one value: give --keep once for each row, as in --keep 3 --keep 8.",
            "attar distill herding",
        ),
        ("distill herding --keep 3 8 digits", "give --keep once for each row", "attar distill herding"),
        ("distill herding digits --weighted yes", "--weighted is a switch and takes no value", "attar distill herding"),
        ("compare digits --methods dm dc", "separate several by commas, as in --methods dm,dc.", "attar compare"),
    ],
)
def test_the_parser_tells_its_errors_in_one_sentence(said, words, sentence, more):
    done = said(words)
    first, second = done.err.splitlines()
    assert first.startswith("attar: ")
    assert sentence in first
    assert second.startswith("try attar")
    assert second.endswith(f"{more} --help")
    assert done.out == ""


def test_a_method_that_cannot_be_made_without_a_setting_is_told_in_the_commands_words(said, monkeypatch):
    def needy(alpha: float, beta: int = 1):
        return methods.dm(lr=alpha)

    find = methods.find
    monkeypatch.setattr(methods, "find", lambda name: needy if name == "theirs" else find(name))
    with pytest.raises(AttarError, match=r"'theirs' cannot be made without --alpha \.\.\.: give it a value\."):
        ahead.made("theirs", {"beta": 2}, "digits", Budget(per_class=1))
    for words, sentence in (
        ("compare digits --methods theirs", "'theirs' cannot be made without alpha=...: give it a value."),
        ("compare digits --methods theirs+beta=2", "'theirs' cannot be made without alpha=...: give it a value."),
        ("compare digits --methods theirs+alpha=-2", "A step size of -2.0 goes nowhere"),
    ):
        assert sentence in said(words).err


def test_a_method_whose_signature_is_no_options_is_named(said, monkeypatch):
    def broken(anything):
        return anything

    monkeypatch.setattr(methods, "find", lambda name: broken)
    assert "options of the method 'theirs' cannot be read" in said("distill theirs digits --ipc 1").err
    assert "options of the method 'theirs' cannot be read" in said("compare digits --methods theirs+x=1").err


# -- before the data are read


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("distill dm digits --ipc 1 --model convnt3", "no network named 'convnt3': did you mean convnet3"),
        ("distill herding digits --ipc 1 --features nonet", "no network named 'nonet'"),
        ("distill herding digits --ipc 1 --features lost.npy", "no file lost.npy"),
        ("distill dm digits --ipc 1 --augmentation funny", "no augmentation 'funny'"),
        ("distill dm digits --ipc 1 --lr -1", "step size"),
        ("distill dm digits --ipc 1 --device tpu", "'tpu'"),
        ("distill dm digits --ipc 1 --steps -1", "--steps -1 is negative"),
        ("distill dm digits --ipc 1 --size 16", "--size does not suit digits"),
        ("distill random digits", "How many rows to keep? Give one of --per-class N, --rows N and --fraction F."),
        (
            "distill random digits --per-class 3 --rows 9",
            "attar: --per-class 3 and --rows 9 both say how many rows to keep: give one of them.",
        ),
        (
            "distill random digits --ipc 3 --rows 9 --fraction 0.1",
            "--per-class 3, --rows 9 and --fraction 0.1 all say how many rows to keep: give one of them.",
        ),
        ("distill random digits --ipc 1 --out file", "file exists already"),
        ("distill random digits --ipc 1 --out file/run", "file is no folder"),
        ("distill random digits --ipc 1 --out other", "other exists already and is not overwritten (it holds other"),
        ("compare digits --methods herdding", "no method 'herdding': did you mean herding"),
        ("compare digits --methods dm --per-class 0", "per_class=0"),
        ("compare digits --methods dm --models mpl", "no network named 'mpl'"),
        ("compare digits --methods dm --models decision", "no model 'decision': did you mean decisions?"),
        ("compare digits --methods dm --validation 2", "--validation 2 is no share"),
        ("compare digits --methods dm --out other", "other exists already and is no comparison"),
        (
            "compare digits --methods dm+lrr=1",
            "--methods dm+lrr=1: dm has no setting 'lrr': did you mean lr? It has model,",
        ),
        ("compare digits --methods dm+lr=high", "--methods dm+lr=high: lr: give a number, not 'high'."),
        ("compare digits --methods dm+batch=1.5", "--methods dm+batch=1.5: batch: give a whole number, not '1.5'."),
        ("compare digits --methods dm+lr=1+lr=2", "lr is given more than once: give it once."),
        ("compare digits --methods kmeans,random+by=al", "by: there is no 'al': did you mean all? Give class or all."),
        ("compare digits --methods craig+weighted=perhaps", "weighted: give true or false, not 'perhaps'."),
        ("compare digits --methods dm+lr=-1", "--methods dm+lr=-1: A step size of -1.0 goes nowhere"),
        ("compare digits --methods kmeans+keep=3", "so keep says nothing: use centres=medoids."),
        ("compare digits --methods herding+features=lost.npy", "no file lost.npy: give features=values, a network's"),
        ("compare digits --methods dmm+lr=1", "no method 'dmm': did you mean dm?"),
        ("compare digits --methods full+lr=1", "full data have no settings"),
        (
            "compare digits --methods dm,lr=1",
            "--methods dm,lr=1: settings follow a method, each with its value behind a +",
        ),
        ("compare digits --methods dm+lr", "--methods dm+lr: settings follow a method"),
        (
            "compare digits --methods herding+features=a,b.npy",
            "--methods herding+features=a,b.npy: there is no method 'b.npy', and a comma in a value is written %2C.",
        ),
        ("compare digits --methods random+keep=3,8", "no method '8', and a comma in a value is written %2C."),
        ("compare digits --methods dm+lr=1,kmenas", "There is no method 'kmenas': did you mean kmeans?"),
        (
            "compare digits --methods random+keep=3,keep=8",
            "keep=3,keep=8: give each setting behind a +, as in keep=3+keep=8, or write %2C for a comma in a value.",
        ),
        (
            "compare digits --methods random+quotas=a+b=3",
            "random has no setting 'b': did you mean by? It has by, keep, quotas, weighted, deduplicate, duplicates_within, "
            "prefer_duplicate; a + in a value is written %2B.",
        ),
        ("compare digits --methods herding+features=x+y=1.npy", "a + in a value is written %2B."),
        (
            "compare digits --methods herding+features=",
            "herding+features=: features has no value: give it one, or leave",
        ),
        ("compare digits --methods random+keep=+weighted=true", "keep has no value: give it one, or leave it out."),
        ("compare digits --methods random+quotas=", "quotas has no value"),
        ("distill kmeans digits --ipc 1 --keep 3", "so --keep says nothing: use --centres medoids."),
        (
            "distill random digits --ipc 1 --by all --quotas 3=1",
            "Quotas are of classes, and --by all takes rows whatever",
        ),
        ("distill forgetting digits --ipc 1 --epochs 1", "--epochs 1 leaves nothing to forget: give 2 or more."),
        ("distill el2n digits --ipc 1 --networks 0", "--networks 0 scores nothing: give 1 or more."),
        ("distill grand digits --ipc 1 --epochs -1", "--epochs -1 trains nothing: give 0 or more."),
        ("distill craig digits --ipc 1 --epochs -1", "--epochs -1 trains nothing"),
        ("distill glister digits --ipc 1 --epochs -1", "--epochs -1 trains nothing"),
        ("distill random digits --ipc 1 --duplicates-within -1", "--duplicates-within -1 is no distance"),
        ("evaluate set.npz digits --models mpl", "no network named 'mpl'"),
        ("evaluate set.npz digits --models ,", "--models names no network"),
        ("evaluate set.npz digits --augmentation nothing", "no augmentation 'nothing'"),
        ("evaluate sets.npz digits", "nothing at sets.npz: did you mean set.npz?"),
        ("report other nowhere", "is not a run"),
        ("demo --out file", "file is no folder"),
    ],
)
def test_what_needs_no_data_is_refused_before_they_are_read(said, words, sentence, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    np.savez(tmp_path / "set.npz", X=np.zeros((10, 8, 8)), y=np.arange(10))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.txt").touch()
    for reader in ("find", "load", "reopen"):
        monkeypatch.setattr(f"attar.data.{reader}", lambda *_, **__: pytest.fail("the data were read"))
    [told] = said(words).err.splitlines()
    assert told.startswith("attar: ")
    assert sentence in told


@pytest.mark.parametrize("name", ["convnet9", "convnet3-64-gn", "mlp-7", "lenet", "alexnet", "vgg11", "resnet18-bn"])
def test_no_name_of_a_network_is_refused_without_its_images(name):
    ahead.check_networks([name])


# -- the folder of a result


def test_a_finished_run_is_to_be_looked_at_and_a_stopped_one_to_be_gone_on_with(said, tmp_path):
    words = "distill random digits --ipc 1 --out done"
    said(words, 0)
    told = said(words).err
    assert "the run is finished; look at it by 'attar report done' or 'attar evaluate done'" in told
    assert "reading" not in told
    (tmp_path / "done" / "result.json").unlink()
    assert "go on with it by 'attar resume done'" in said(words).err


@pytest.mark.parametrize("source", [".", ".."])
def test_no_result_goes_into_the_data_folder(said, photos, monkeypatch, source):
    monkeypatch.chdir(photos if source == "." else photos / "dark")
    before = sorted(photos.rglob("*"))
    told = said(f"distill k_center {source} --ipc 1", 0).err
    assert "the result goes to ../" in told
    assert (photos.parent / "runs" / "photos-k_center-1-per-class" / "distilled").is_dir()
    assert f"lies in the data folder {source}" in said(f"distill k_center {source} --ipc 1 --out here").err
    assert f"lies in the data folder {source}" in said(f"compare {source} --methods dm --out here").err
    assert sorted(photos.rglob("*")) == before


def test_a_result_beside_the_data_folder_stays_where_it_was(said, photos):
    assert "the result goes to" not in said("distill random photos --ipc 1", 0).err
    assert (photos.parent / "runs" / "photos-random-1-per-class").is_dir()


# -- comparisons where something else is asked for


def test_a_comparison_that_was_stopped_at_once_and_its_sets_are_told_from_runs(said, tmp_path):
    (tmp_path / "stopped" / "sets").mkdir(parents=True)
    (tmp_path / "stopped" / "protocol.json").write_text("{}")
    told = said("report stopped").err
    assert "stopped is a comparison without a score yet: the same 'attar compare' goes on with it" in told
    assert "holds no distilled set" in said("evaluate stopped").err
    said(f"distill random digits --ipc 1 --out {tmp_path}/stopped/sets/random-1-per-class-0", 0)
    for word in ("evaluate", "show"):
        told = said(f"{word} stopped").err
        assert "a comparison of several sets: give one of them, such as stopped/sets/random-1-per-class-0." in told


# -- Ctrl-C


COMMAND, MODULE = "from attar_command import main; main()", "import runpy; runpy.run_module('attar', None, '__main__')"


@pytest.mark.parametrize(
    ("module", "start"), [("attar", COMMAND), ("attar.cli.application", COMMAND), ("attar.cli.application", MODULE)]
)
def test_ctrl_c_during_imports_is_told_in_a_line(tmp_path, module, start):
    program = f"""
import sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "{module}":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
sys.argv = ["attar", "methods"]
{start}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert (done.returncode, done.stderr) == (130, "attar: interrupted\n")


def test_python_m_attar_is_the_command(tmp_path):
    words = [sys.executable, "-m", "attar", "methods"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "facility_location" in done.stdout


def test_ctrl_c_while_data_are_read_is_told_in_a_line(said, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("attar.data.find", interrupted)
    assert said("distill random digits --ipc 1", 130).err.endswith("attar: interrupted\n")


def test_help_of_the_command_makes_no_command_of_methods(tmp_path):
    program = (
        "import sys; from attar.cli import main, distil\ntry: main(['--help'])\nfinally: print(list(distil.distil))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert done.returncode == 0
    assert "'dm'" not in done.stdout


# -- tables of the terminal


def test_names_stand_in_columns_and_a_pipe_gets_a_line_a_row(said):
    lines = said("methods", 0).out.splitlines()
    assert len(lines) == len(methods.METHODS)
    starts = {line.index(family) for line in lines for family in ("coresets", "gradient matching") if family in line}
    assert len(starts) == 1
