"""The rooms of DESIGN.md: who imports whom, what is imported when, and how long files are."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import attar

SOURCE = Path(attar.__file__).parent

ROOMS = [
    "cli",
    "demo",
    "signatures",
    "sklearn",
    "report",
    "compare",
    "progress",
    "engine",
    "checks",
    "methods",
    "jobs",
    "job",
    "estimate",
    "experts",
    "matching",
    "objectives",
    "surrogates",
    "selection",
    "evaluation",
    "training",
    "method",
    "runs",
    "causal",
    "privacy",
    "data",
    "tasks",
    "distilled",
    "checkpoint",
    "synthetic",
    "views",
    "augment",
    "recipes",
    "models",
    "distances",
    "tables",
    "batches",
    "record",
    "reuse",
    "types",
    "whitening",
    "memory",
    "rng",
    "plan",
    "errors",
]
"""Top to bottom; a room imports from rooms below it."""

EXTRAS = {
    "sklearn": {
        "evaluation/learners.py",
        "selection/clusters.py",
        "sklearn/coreset.py",
        "sklearn/distilled.py",
        "sklearn/sampler.py",
    },
    "datasets": {"data/hub.py", "distilled/dataset.py"},  # read in one room, written in another
    "timm": {"models/zoo.py"},
    "starlette": {"report/live.py"},
    "uvicorn": {"report/live.py"},
    "causallearn": {"causal/learners.py"},
    "gadjid": {"causal/comparison.py"},
    "pandas": {"data/hub.py", "data/raw_columns.py", "tables/table.py", "distilled/tables.py"},
    "torchvision": {"models/zoo.py"},  # for timm, which needs it
}
"""The files that import what not everybody has."""

FILES = sorted(path for path in SOURCE.rglob("*.py"))


def _module(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(("attar", *parts)).removesuffix(".__init__")


def _imports(path):
    """Full names of all modules that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "attar"}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "import_module":
            found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return found


def _room(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "attar" and len(parts) > 1 and parts[1] in ROOMS else None


def _edges():
    """Room to the rooms that it imports, with the file that does."""
    edges = defaultdict(set)
    for path in FILES:
        here = _room(_module(path))
        if here is not None:
            for module in _imports(path):
                there = _room(module)
                if there is not None and there != here:
                    edges[here, there].add(str(path.relative_to(SOURCE)))
    return edges


def test_every_file_is_in_a_room_of_the_design():
    rooms = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in FILES} - {"__init__", "__main__"}
    assert rooms <= set(ROOMS)


def test_imports_run_downward():
    upward = {
        f"{here} imports {there}": files
        for (here, there), files in _edges().items()
        if ROOMS.index(there) < ROOMS.index(here)
    }
    assert upward == {}


@pytest.mark.parametrize(
    ("room", "never"),
    [
        ("objectives", {"methods", "data"}),
        ("evaluation", {"methods", "matching", "objectives"}),
        ("synthetic", {"tasks"}),
        ("causal", {"distilled"}),
    ],
)
def test_the_nevers(room, never):
    assert {there for (here, there) in _edges() if here == room} & never == set()


def test_nothing_imports_the_command_the_report_or_the_checks():
    allowed = {("cli", "report"), ("demo", "report"), ("cli", "demo")}
    found = {(here, there) for (here, there) in _edges() if there in ("cli", "report", "checks")} - allowed
    assert found == set()
    assert {"attar.cli", "attar.report", "attar.checks"} & _imports(SOURCE / "__init__.py") == set()


def test_tasks_do_not_import_each_other():
    for path in (SOURCE / "tasks").glob("[!_]*.py"):
        others = {module for module in _imports(path) if module.startswith("attar.tasks")}
        assert others == set(), f"{path.name} imports {others}"


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_extra_is_imported_where_it_belongs(extra):
    found = {
        str(path.relative_to(SOURCE))
        for path in FILES
        if extra in {module.partition(".")[0] for module in _imports(path)}
    }
    assert found <= EXTRAS[extra]


def test_extras_and_pictures_are_imported_late():
    """Inside the function that needs them: not at the top of a file that `import attar` reads."""
    late = {*EXTRAS, "PIL", "safetensors", "jinja2", "rich"}
    for path in FILES:
        if _room(_module(path)) == "sklearn":  # which only those read who have scikit-learn
            continue
        top = {
            name
            for node in ast.parse(path.read_text()).body
            for name in (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert {name.partition(".")[0] for name in top} & late == set(), path


def test_files_stay_short():
    long = {
        str(path.relative_to(SOURCE)): count for path in FILES if (count := len(path.read_text().splitlines())) >= 400
    }
    assert long == {}


def test_functions_stay_short():
    """Sixty lines without the docstring."""
    long = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = (node.end_lineno - body[0].lineno + 1) if body else 0
                if length > 60:
                    long[f"{path.relative_to(SOURCE)}:{node.name}"] = length
    assert long == {}


def test_every_module_says_what_it_is():
    silent = [str(path.relative_to(SOURCE)) for path in FILES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_public_names_are_there():
    for name in attar.__all__:
        assert hasattr(attar, name)


# -- what `import attar` brings


def _loaded(statement):
    """Modules loaded in a new process by a statement, top level names."""
    code = f"{statement}\nimport sys\nprint(' '.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_attar_needs_torch_and_numpy_only():
    new = _loaded("import attar") - _loaded("import torch, numpy") - {"attar"} - set(sys.stdlib_module_names)
    assert new == set(), f"import attar loads {sorted(new)}"


def test_importing_attar_does_not_load_the_compiler():
    """torch._dynamo alone takes longer than all of attar."""
    code = "import attar, sys; print('torch._dynamo' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )
