"""What is said of a distilled set: its card for programs, and a summary for the terminal."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from attar.distilled.chosen import chosen, named
from attar.distilled.decoding import decodable
from attar.distilled.own import Own, schedule_facts
from attar.errors import AttarError
from attar.types import Normalisation
from attar.whitening import Whitening

__all__ = [
    "DECODED",
    "FORMAT_VERSION",
    "OPEN_WITHOUT_ATTAR",
    "SQUARED",
    "WEIGHTED",
    "WHITENING",
    "Training",
    "attar_version",
    "build",
    "damaged",
    "facts",
    "names_of",
    "numbers",
    "opening",
    "parse",
    "prepared_text",
    "size_text",
    "summary",
    "title",
    "training_of",
    "whitened",
    "whitening_text",
    "without_rows",
]

FORMAT_VERSION = 5
"""The newest format: 1 has the rows themselves in data.safetensors, 2 what they are decoded from, 3 either and a whitening, 4 any
of these and targets of regression, several step sizes or updates of its own; 5 is of tables."""

# Run in the folder of the set; needs torch and safetensors. Tested as it stands.
OPEN_WITHOUT_ATTAR = """\
import json
import torch
from safetensors.torch import load_file
card = json.load(open("card.json", encoding="utf-8"))
data = load_file("data.safetensors")
scale = card["training"]["normalisation"]
shape = [1, -1] + [1] * (data["x"].dim() - 2)
mean, std = (torch.tensor(scale[name]).view(shape) for name in ("mean", "std"))
x, y = (data["x"] - mean) / std, data["y"]  # ready for training: rows, and class ids or probabilities
print(tuple(x.shape), tuple(y.shape), card["class_names"])
"""

# The line more that a set with weights has.
_WEIGHT = 'weight = data["weight"]  # of each row in the loss: (weight * losses).sum() / weight.sum()\n'

SQUARED = "squared gap between a network's answers and the targets, mean over the classes"
"""The loss of a set whose labels are targets of regression."""

WEIGHTED = "weighted mean of the rows' losses"
"""The loss that networks are to be trained by, of a set with weights; the plain mean of the others' goes without saying."""

DECODED = "decoded.safetensors"
"""Beside what a set stores, the rows that it decodes to."""

WHITENING = "whitening.safetensors"
"""What rows are whitened by: like mean and std a fixed transform of the data, and no part of the set's cost."""

# What a set has whose rows are whitened, in place of the line that makes them ready.
_READY = 'x, y = (data["x"] - mean) / std, data["y"]  # ready for training: rows, and class ids or probabilities\n'
_WHITENED = """\
x, y = (data["x"] - mean) / std, data["y"]
white = load_file("whitening.safetensors")  # ZCA: a mean, and the upper triangle of a symmetric matrix
half = torch.zeros([len(white["mean"])] * 2, dtype=torch.float64)
half[tuple(torch.triu_indices(*half.shape))] = white["triangle"].double()
flat = (x.flatten(1).double() - white["mean"].double()) @ (half + half.triu(1).T)
x = flat.to(x.dtype).view_as(x)  # ready for training: rows, and in y class ids or probabilities
"""

_NAMED = 5  # classes without rows that are named
_LABELS = {
    "hard": "hard: one class an image",
    "soft": "soft: probabilities of the classes",
    "learned": "learned: probabilities of the classes, optimised with the images",
    "regression": "targets of regression: a number a class, learned, for the squared loss",
}


@dataclass(frozen=True)
class Training:
    """How a distilled set is meant to be trained on.

    Args:
        normalisation: applied to the raw rows before training.
        labels: "hard" (class ids), "soft" (probabilities), "learned" (probabilities that were optimised) or "regression" (targets
            of the squared loss that were).
        class_names: one name a class.
        step_size: the learned step size of plain SGD, where one was learned; of several their mean.
        augmentation: the DSA strategy that the set was made for ("" for none).
        modality: "images", ...
        step_sizes: the learned step sizes where each update has its own, in their order.
        own: the very updates that the set was distilled for, None where networks were not trained on it from their start.
    """

    normalisation: Normalisation
    labels: Literal["hard", "soft", "learned", "regression"] = "hard"
    class_names: tuple[str, ...] = ()
    step_size: float | None = None
    augmentation: str = ""
    modality: str = "images"
    step_sizes: tuple[float, ...] = ()
    own: Own | None = None


def opening(decodes: bool, weighted: bool = False, whitened: bool = False) -> str:
    """The lines that open a set without attar: one whose rows are decoded has them in a file of their own, one with weights
    gives those, too, and one that is to be whitened has more to do."""
    lines = OPEN_WITHOUT_ATTAR.replace("data.safetensors", DECODED) if decodes else OPEN_WITHOUT_ATTAR
    lines = lines.replace(_READY, _WHITENED) if whitened else lines
    return lines.replace("print(", f"{_WEIGHT}print(") if weighted else lines


def training_checksum(training: Mapping[str, Any]) -> str:
    """ "sha256:..." of what a card says of training: a wrong normalisation spoils a set as a wrong pixel does."""
    text = json.dumps(training, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def build(
    training: Training,
    made_by: Mapping[str, Any],
    shapes: Mapping[str, Sequence[int]],
    nbytes: int,
    counts: Sequence[int],
    checksum: str,
    selected: Sequence[Mapping[str, Any]] = (),
    decoder: Mapping[str, Any] | None = None,
    decoded_checksum: str | None = None,
    left_out: int = 0,
) -> dict[str, Any]:
    """The card of a set, JSON values only.

    Args:
        training: how to train on it.
        made_by: where it comes from (see `attar.Distilled`).
        shapes: shape of each saved tensor.
        nbytes: bytes of all saved tensors that are not decoded from others.
        counts: rows of each class.
        checksum: "sha256:..." of data.safetensors.
        selected: one record a row that was chosen (see `attar.Distilled`).
        decoder: record of the parameterisation that makes the rows of what is stored, if one does.
        decoded_checksum: "sha256:..." of decoded.safetensors, of such a set.
        left_out: near-duplicates that are listed beside the set.

    Raises:
        AttarError: if `made_by` holds something that JSON does not.
    """
    weighted, whitened = "weight" in shapes, training.normalisation.whitening is not None
    losses = [SQUARED] * (training.labels == "regression") + [WEIGHTED] * weighted
    of_training = {**_recorded(training), **({"loss": "; ".join(losses)} if losses else {})}
    card: dict[str, Any] = {
        "format_version": _format(training, decoder is not None),
        "attar": attar_version(),
        "checksum": checksum,
        **({} if decoder is None else {"decoder": dict(decoder), "decoded_checksum": decoded_checksum}),
        "modality": training.modality,
        "class_names": list(training.class_names),
        "counts": list(counts),
        "nbytes": nbytes,
        "shapes": {name: list(shape) for name, shape in shapes.items()},
        "training": of_training,
        "training_checksum": training_checksum(of_training),
        "made_by": dict(made_by),
        "open_without_attar": opening(decoder is not None, weighted, whitened),
    }
    if selected:
        card["chosen"] = chosen(shapes["x"][0], made_by, left_out)
        card["selected"] = [dict(row) for row in selected]
    try:  # by way of text, so that a card just made and the same card read from disk are equal
        return json.loads(json.dumps(card, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AttarError(
            f"made_by or selected cannot be written into the card of a distilled set ({error}): "
            "give finite numbers, text, lists and dictionaries only."
        ) from error


def _format(training: Training, decodes: bool) -> int:
    """The oldest format that has all of a set, so that older versions of attar open what they can."""
    if training.labels == "regression" or training.step_sizes or training.own is not None:
        return 4
    if training.normalisation.whitening is not None:
        return 3
    return 2 if decodes else 1


def _recorded(training: Training) -> dict[str, Any]:
    """A training record as a card holds it: of a whitening what tells it from others, and not its matrix."""
    scale = training.normalisation
    known = dataclasses.asdict(dataclasses.replace(training, normalisation=Normalisation((), ())))
    known = {name: value for name, value in known.items() if value or name not in ("step_sizes", "own")}
    white = {} if scale.whitening is None else {"whitening": scale.whitening.record}
    return {**known, "normalisation": {"mean": list(scale.mean), "std": list(scale.std), **white}}


def parse(path: Path) -> dict[str, Any]:
    """Read a card.

    Raises:
        AttarError: if it is missing, damaged or of a newer format.
    """
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AttarError(
            f"{path} cannot be read ({error.strerror}): a distilled set has data.safetensors and card.json together."
        ) from error
    except ValueError as error:
        raise damaged(path, "it is not JSON") from error
    if not isinstance(card, dict) or not isinstance(card.get("format_version"), int):
        raise damaged(path, "it names no format_version")
    if card["format_version"] > FORMAT_VERSION:
        raise AttarError(
            f"{path} has format {card['format_version']}, written by attar {card.get('attar', 'unknown')}, and attar "
            f"{attar_version()} reads formats up to {FORMAT_VERSION}: install attar {card.get('attar', '')} or later."
        )
    return card


def training_of(card: Mapping[str, Any], path: Path) -> Training:
    """The training record in a card that was read from `path`, without the whitening, which `whitened` reads.

    Raises:
        AttarError: if it is damaged.
    """
    try:
        fields = dict(card["training"])
        scale, names = fields.pop("normalisation"), fields.pop("class_names")
        fields.pop("loss", None)  # follows from the labels and the weights
        mean, std = (tuple(float(value) for value in scale[key]) for key in ("mean", "std"))
        if "own" in fields:
            fields["own"] = Own.of(fields["own"])
        fields["step_sizes"] = tuple(map(float, fields.get("step_sizes", ())))
        training = Training(Normalisation(mean, std), class_names=tuple(map(str, names)), **fields)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, "its training record is not as attar writes it") from error
    if training.labels not in _LABELS:
        raise damaged(path, f"its kind of labels is {training.labels!r}")
    return training


def whitened(training: Training, card: Mapping[str, Any], read: Callable[[str, Any], bytes]) -> Training:
    """A training record with the set's whitening, if there is one.

    Args:
        training: as `training_of` gives it.
        card: of the set.
        read: gives the content of a file of the set that is to have a checksum.

    Raises:
        ValueError, KeyError, TypeError: if it is damaged.
    """
    record = card["training"]["normalisation"].get("whitening")
    if record is None:
        return training
    if record["method"] != "zca":
        raise ValueError(f"the method of its whitening is {record['method']!r}")
    whitening = Whitening.read(read(WHITENING, record["checksum"]), record["eps"], record["rows"])
    return dataclasses.replace(training, normalisation=dataclasses.replace(training.normalisation, whitening=whitening))


def damaged(path: Path, what: str) -> AttarError:
    """The error for a file of a distilled set that is not as it was written."""
    return AttarError(f"{path} is damaged ({what}): copy the distilled set again, or distil it again.")


def size_text(count: int) -> str:
    """Bytes for people: 313600 gives "306 KiB"."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


def summary(card: Mapping[str, Any]) -> str:
    """A card in a few lines of plain text, as `attar show` prints it."""
    lines = [(title(card), ""), *facts(card), ("checksum", card["checksum"])]
    return "\n".join(f"{key:<16}{value}" if value else key for key, value in lines)


def without_rows(card: Mapping[str, Any]) -> str:
    """Which classes no row is of: "no rows of classes cat, dog"; "" where there are none, or labels are probabilities."""
    counts = card.get("counts", ())  # a table has none
    classes = names_of(card.get("class_names", ()), len(counts))
    names = [name for name, count in zip(classes, counts, strict=True) if not count]
    if not names or card["training"]["labels"] != "hard":
        return ""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"no rows of {'class' if len(names) == 1 else 'classes'} {', '.join(names[:_NAMED])}{more}"


def names_of(class_names: Sequence[str], classes: int) -> tuple[str, ...]:
    """The classes' names, numbers where there are none."""
    return tuple(class_names) + tuple(str(i) for i in range(len(class_names), classes))


def facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What there is to say of a set, each with its name."""
    training, made_by = card["training"], card["made_by"]
    rows, *shape = card["shapes"]["x"]
    low, high, scale = min(card["counts"]), max(card["counts"]), training["normalisation"]
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    lacking = without_rows(card)
    known = {
        "chosen": card.get("chosen", ""),
        "rows": f"{rows:,} of {' x '.join(map(str, shape))}",
        "classes": f"{len(card['counts'])}, {each} row{'' if each == '1' else 's'} each{'; ' if lacking else ''}{lacking}",
        "labels": _LABELS[training["labels"]],
        "loss": training.get("loss", ""),
        "size": f"{size_text(card['nbytes'])} ({card['nbytes']:,} bytes: {', '.join(_counted(card))})",
        "decoder": "" if "decoder" not in card else _short(card["decoder"]),
        "normalisation": f"mean {numbers(scale['mean'])}, std {numbers(scale['std'])}",
        "whitening": whitening_text(scale.get("whitening")),
        "augmentation": training["augmentation"],
        **schedule_facts(training),
        "source": " ".join(str(made_by[key]) for key in ("data", "fingerprint") if key in made_by),
        "seed": made_by.get("seed", ""),
        "steps": _steps(made_by),
        "seconds": f"{made_by['seconds']:,.1f}" if "seconds" in made_by else "",
        "of which": prepared_text(made_by),
        "attar": f"{card['attar']} (format {card['format_version']})",
    }
    return [(key, str(value)) for key, value in known.items() if value != ""]


def _steps(made_by: Mapping[str, Any]) -> str:
    skipped = made_by.get("skipped", 0)
    return f"{made_by.get('steps', '')}{f', {skipped:,} of which changed nothing' if skipped else ''}"


def prepared_text(made_by: Mapping[str, Any]) -> str:
    """What of a set's seconds went into what was made before the run: "9,300 s for 10 experts"; "" where nothing was."""
    prepared = made_by.get("prepared", {})
    return ", ".join(f"{part['seconds']:,.0f} s for {part['count']:,} {kind}" for kind, part in prepared.items())


def _counted(card: Mapping[str, Any]) -> list[str]:
    """The tensors that a set's bytes are those of."""
    made_again = "decoder" in card and decodable(card["decoder"])
    return [name for name in card["shapes"] if not made_again or name.startswith("stored.")]


def _short(decoder: Mapping[str, Any]) -> str:
    """A decoder's record as its call: "MultiFormation(factor=2, clamp=True)"."""
    fields = ", ".join(
        f"{name}={value['type'].rpartition(':')[2] if isinstance(value, dict) and 'type' in value else value}"
        for name, value in decoder["fields"].items()
    )
    return f"{decoder['type'].rpartition(':')[2]}({fields})"


def title(card: Mapping[str, Any]) -> str:
    """What a set is called: "digits, distilled by dm"."""
    made_by = card["made_by"]
    by = f" by {named(made_by)}" if "name" in made_by else ""
    return f"{made_by.get('data', 'a dataset')}, {'rows chosen' if 'chosen' in card else 'distilled'}{by}"


def whitening_text(record: Mapping[str, Any] | None) -> str:
    """A whitening in words, "" for none."""
    if record is None:
        return ""
    fitted = f"ZCA, eps {record['eps']:g}, fitted on {record['rows']:,} training rows"
    return f"{fitted}; {WHITENING}, {size_text(record['nbytes'])}, is not counted in the size"


def numbers(values: Sequence[float]) -> str:
    """Numbers in a row, one a channel."""
    return ", ".join(f"{value:g}" for value in values)


def attar_version() -> str:
    try:
        return version("attar")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"
