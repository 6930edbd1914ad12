"""A distilled set: saved, loaded, and handed to torch, numpy, Hugging Face datasets or a folder of pictures."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from attar.batches import Images
from attar.checkpoint import write_whole
from attar.distilled import card as cards
from attar.distilled.card import DECODED, WHITENING, Training
from attar.distilled.chosen import LEFT_OUT, SELECTED
from attar.distilled.decoding import agree, decodable, decode, is_record
from attar.distilled.folders import folder_names, whole_folder
from attar.distilled.pictures import picture, preview
from attar.distilled.readme import readme
from attar.errors import AttarError
from attar.types import Batch

if TYPE_CHECKING:
    import datasets

__all__ = ["CARD", "DATA", "README", "Distilled", "checked", "checksum", "inert", "write_table"]

DATA, CARD, README, PREVIEW = "data.safetensors", "card.json", "README.md", "preview.png"
_BATCHES = {"images": Images}


@dataclass(frozen=True, eq=False)
class Distilled:
    """A distilled set.

    Args:
        data: the rows in raw units ([0, 1] for images, unclipped), on the CPU.
        training: how to train on it.
        made_by: where it comes from, JSON values only. Cards show "name" (the method's), "data", "fingerprint",
            "licence", "seed", "steps" and "seconds" where they are given, and the whole record beside.
        stored: further tensors that are saved; of a set with a `decoder`, all that the rows are made of: its decoder's
            tensors, in normalised units where they are images, and the labels of stored rows as "y".
        selected: of a coreset, one record a row, JSON values by column: where it comes from and why it was chosen. It is
            written as selected.csv, too.
        left_out: one record a row that was left out as a near-duplicate before rows were chosen, and which row it repeats;
            written as left_out.csv alone.
        decoder: the record ``{type, fields}`` of the parameterisation that makes `data` of `stored`, None where `data` is
            what is stored.

    Example:
        >>> import tempfile
        >>> from attar.types import Normalisation
        >>> images = Images(torch.rand(4, 1, 8, 8), torch.tensor([0, 0, 1, 1]))
        >>> small = Distilled(images, Training(Normalisation((0.5,), (0.2,)), class_names=("cat", "dog")))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     small.save(f"{folder}/distilled")
        ...     len(Distilled.load(f"{folder}/distilled"))
        4
    """

    data: Batch
    training: Training
    made_by: Mapping[str, Any] = field(default_factory=dict)
    stored: Mapping[str, Tensor] = field(default_factory=dict)
    selected: Sequence[Mapping[str, Any]] = ()
    left_out: Sequence[Mapping[str, Any]] = ()
    decoder: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.data)

    @property
    def nbytes(self) -> int:
        """The true cost: bytes of every tensor that is saved (rows, labels, weights, decoders), and not of rows that attar can
        decode from others. Of a set that it cannot decode again, as with a generator of one's own, the rows count too."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._saved().values())

    @property
    def labels(self) -> Tensor:
        """Class ids ``(n,)``; of probabilities or targets the largest, of per-view ones the class that most views agree on.

        Raises:
            AttarError: if the set has no labels.
        """
        y = self.data.y
        if y is None:
            raise AttarError("This distilled set has no labels: this needs class ids or probabilities in data.y.")
        if y.dim() == 1:
            return y
        return y.argmax(-1) if y.dim() == 2 else y.argmax(-1).mode(0).values

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name a class, numbers where none were given."""
        y = self.data.y
        classes = int(self.labels.max()) + 1 if y is None or y.dim() == 1 else y.shape[-1]
        return cards.names_of(self.training.class_names, classes)

    def normalised(self) -> Batch:
        """The rows ready for training."""
        return self.data.replace(x=self.training.normalisation.apply(self.data.x))

    def to_torch(self, normalised: bool = False) -> TensorDataset:
        """A torch dataset of ``(x, y)``, with the row's weight third where there are weights.

        Args:
            normalised: give rows ready for training in place of raw ones.
        """
        batch = self.normalised() if normalised else self.data
        targets = [] if batch.y is None else [batch.y if batch.views is None else batch.y.transpose(0, 1)]
        return TensorDataset(batch.x, *targets, *([] if batch.weight is None else [batch.weight]))

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Copies of all tensors by the names that they are saved under: "x" in raw units, "y", "stored.basis", ..."""
        return {name: tensor.numpy().copy() for name, tensor in self._tensors().items()}

    def to_hf(self) -> datasets.Dataset:
        """A Hugging Face dataset with the columns "image" (8 bits, clipped to [0, 1]) and "label", and where there are
        any "probabilities", or "targets" where labels are of regression, and "weight".

        Raises:
            AttarError: if the library is not installed.
        """
        try:
            import datasets
        except ImportError as error:
            raise AttarError("to_hf() needs the library datasets: pip install 'attar[hub]'.") from error
        value = datasets.Value("float32")
        columns: dict[str, Any] = {"image": self._pictures(), "label": self.labels.tolist()}
        kinds: dict[str, Any] = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(self.class_names))}
        if self.data.y is not None and self.data.y.dim() > 1:
            columns[self._soft_name] = self._soft()
            kinds[self._soft_name] = datasets.Sequence(value if self.data.y.dim() == 2 else datasets.Sequence(value))
        if self.data.weight is not None:
            columns["weight"], kinds["weight"] = self.data.weight.tolist(), value
        return datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))

    def to_folder(self, path: str | Path) -> None:
        """Write a PNG an image (8 bits, clipped to [0, 1]), a folder a class; soft labels and weights beside them in
        labels.json. Written whole or not at all.

        Raises:
            AttarError: if `path` holds something already, or the images are neither grey nor RGB.
        """
        folders = folder_names(self.class_names)
        names = [f"{folders[label]}/{row:05d}.png" for row, label in enumerate(self.labels.tolist())]
        with whole_folder(path, replaceable=lambda _: False) as folder:
            for name, image in zip(names, self._pictures(), strict=True):
                (folder / name).parent.mkdir(exist_ok=True)
                image.save(folder / name)
            beside: dict[str, Any] = {"class_names": list(self.class_names)}
            if self.data.y is not None and self.data.y.dim() > 1:
                beside[self._soft_name] = dict(zip(names, self._soft(), strict=True))
            if self.data.weight is not None:
                beside["weight"] = dict(zip(names, self.data.weight.tolist(), strict=True))
            if len(beside) > 1:
                (folder / "labels.json").write_text(json.dumps(beside, indent=1, ensure_ascii=False), encoding="utf-8")

    def card(self) -> dict[str, Any]:
        """The card as it is saved: format, checksum, shapes, bytes, training, made_by."""
        return self._card(*self._serialised())

    def summary(self) -> str:
        """The card in a few lines of plain text."""
        return cards.summary(self.card())

    def save(self, path: str | Path) -> None:
        """Write the set as a folder, whole or not at all; a distilled set that stands there is replaced.

        Raises:
            AttarError: if something else stands at `path`, or it cannot be written.
        """
        content, decoded = self._serialised()
        card = self._card(content, decoded)
        picture = preview(self.data.x.float().numpy(), self.labels.numpy())
        white = self.training.normalisation.whitening
        files = {DATA: content, DECODED: decoded, WHITENING: white.content() if white else None}
        with whole_folder(path, replaceable=_is_distilled) as folder:
            for name, found in files.items():
                if found is not None:
                    (folder / name).write_bytes(found)
            (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            (folder / README).write_text(readme(card), encoding="utf-8")
            picture.save(folder / PREVIEW)
            for name, records in ((SELECTED, self.selected), (LEFT_OUT, self.left_out)):
                if records:
                    write_table(folder / name, records)

    @classmethod
    def load(cls, path: str | Path) -> Distilled:
        """Read a set; of tables a `DistilledTable`.

        Args:
            path: its folder, a run's folder with `distilled/` in it, or its data.safetensors.

        Raises:
            AttarError: if there is none, it was tampered with or cut short, or it is of a newer format.
        """
        folder = _find(Path(path))
        try:
            if cards.parse(folder / CARD).get("modality") == "tables":
                from attar.distilled.tables import DistilledTable

                return DistilledTable.load(folder)  # type: ignore[return-value]
            return cls._read(folder)
        except RecursionError as error:
            raise cards.damaged(folder / CARD, "it is nested too deeply") from error

    @classmethod
    def _read(cls, folder: Path) -> Distilled:
        from safetensors import SafetensorError
        from safetensors.torch import load

        card = cards.parse(folder / CARD)
        training = cards.training_of(card, folder / CARD)
        if training.modality not in _BATCHES:
            raise AttarError(f"{folder / CARD} is of {training.modality}, and this attar reads {', '.join(_BATCHES)}.")
        if cards.training_checksum(card["training"]) != card.get("training_checksum"):
            raise cards.damaged(folder / CARD, "what it says of training is not what was saved")
        kind, record = _BATCHES[training.modality], card.get("decoder")
        if record is not None and not is_record(record):
            raise cards.damaged(folder / CARD, "its decoder is not as attar writes it")
        try:
            training = cards.whitened(training, card, lambda name, expected: checked(folder / name, expected))
            tensors = load(checked(folder / DATA, card.get("checksum")))
            stored = {name: tensors.pop(name) for name in list(tensors) if name.startswith("stored.")}
            named = {name.removeprefix("stored."): tensor for name, tensor in stored.items()}
            data: Batch
            if record is None:
                data = kind(**tensors)
            elif (folder / DECODED).exists():
                data = kind(**load(checked(folder / DECODED, card.get("decoded_checksum"))))
                if decodable(record) and not agree(
                    data, decode(record, named, data.x.shape, training.normalisation, kind)
                ):
                    raise cards.damaged(folder / DECODED, f"its rows are not those that {DATA} decodes to")
            elif decodable(record):
                data = decode(record, named, card["shapes"]["x"], training.normalisation, kind)
            else:
                raise _undecoded(folder, record)
            made_by, selected = dict(card["made_by"]), tuple(map(dict, card.get("selected", ())))
        except AttarError:  # which is a ValueError, and says more
            raise
        except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise cards.damaged(folder, "it does not hold what attar writes") from error
        return cls(data, training, made_by, named, selected, _read_table(folder / LEFT_OUT), record)

    def _tensors(self) -> dict[str, Tensor]:
        """All tensors by the name that they have on disk; images as float32."""
        named = {f.name: getattr(self.data, f.name) for f in fields(self.data)}  # type: ignore[arg-type]
        named |= {f"stored.{name}": tensor for name, tensor in self.stored.items()}
        tensors = {name: tensor.detach().cpu() for name, tensor in named.items() if tensor is not None}
        return tensors | {"x": tensors["x"].float()}

    def _saved(self) -> dict[str, Tensor]:
        """Those that a set cannot do without: all, or where attar can decode the rows what they are decoded from."""
        tensors = self._tensors()
        if self.decoder is None or not decodable(self.decoder):
            return tensors
        return {name: tensors[name] for name in tensors if _is_stored(name)}

    def _serialised(self) -> tuple[bytes, bytes | None]:
        """The content of data.safetensors, and of decoded.safetensors where there is one."""
        from safetensors.torch import save

        # Cloned: the format refuses tensors that share memory, as two views of one tensor do.
        tensors = {
            name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in self._tensors().items()
        }
        if self.decoder is None:
            return save(tensors), None
        stored, rows = (
            {name: tensors[name] for name in tensors if _is_stored(name) == is_it} for is_it in (True, False)
        )
        return save(stored), save(rows)

    def _card(self, content: bytes, decoded: bytes | None) -> dict[str, Any]:
        shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors().items()}
        counts = torch.bincount(self.labels, minlength=len(self.class_names)).tolist()
        return cards.build(
            self.training,
            self.made_by,
            shapes,
            self.nbytes,
            counts,
            checksum(content),
            self.selected,
            self.decoder,
            None if decoded is None else checksum(decoded),
            len(self.left_out),
        )

    @property
    def _soft_name(self) -> str:
        """What labels that are no class ids are called outside."""
        return "targets" if self.training.labels == "regression" else "probabilities"

    def _soft(self) -> list[Any]:
        """Probabilities or targets of each row as nested lists ``(k,)``, of per-view targets ``(views, k)``."""
        assert self.data.y is not None
        return (self.data.y if self.data.y.dim() == 2 else self.data.y.transpose(0, 1)).tolist()

    def _pictures(self) -> list[Any]:
        channels = self.data.x.shape[1]
        if channels not in (1, 3):
            raise AttarError(f"Images of {channels} channels are neither grey nor RGB and fit no PNG: use to_numpy().")
        return [picture(image) for image in self.data.x.float().numpy()]


def _is_stored(name: str) -> bool:
    return name.startswith("stored.")


def _undecoded(folder: Path, record: Mapping[str, Any]) -> AttarError:
    """The error for a set without its rows whose decoder is none that attar can build."""
    others = [value["type"] for value in record["fields"].values() if isinstance(value, dict) and "type" in value]
    return AttarError(
        f"{folder / DECODED} is missing, and the rows were made by {', '.join([record['type'], *others])}, which attar cannot "
        "build from a card: copy the distilled set whole, or install the package that has it."
    )


def checked(file: Path, expected: Any) -> bytes:
    """The content of a set's file.

    Raises:
        AttarError: if it cannot be read, or is not what its card says it is.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise cards.damaged(file, f"it cannot be read: {error.strerror}") from error
    if checksum(content) != expected:
        raise cards.damaged(file, f"its checksum is not the one in {CARD}")
    return content


def _find(path: Path) -> Path:
    """The folder of the set that `path` means."""
    if path.name == DATA and path.is_file():
        return path.parent
    for folder in (path, path / "distilled"):
        if (folder / CARD).is_file():
            return folder
    reason = "does not exist" if not path.exists() else f"holds no distilled set ({CARD} is missing)"
    if (path / "settings.json").is_file():
        raise AttarError(f"The run {path} has no result yet: finish it by 'attar resume {path}'.")
    sets = sorted((path / "sets").glob(f"*/distilled/{CARD}"))
    if sets:
        raise AttarError(f"{path} is a comparison of several sets: give one of them, such as {sets[0].parents[1]}.")
    raise AttarError(f"{path} {reason}: give a distilled folder, a run's folder or a set's {DATA}.")


def _is_distilled(folder: Path) -> bool:
    """Whether a folder is a set that attar wrote, so that nothing else is ever overwritten."""
    names = {item.name for item in folder.iterdir()}
    return {DATA, CARD} <= names <= {DATA, DECODED, WHITENING, CARD, README, PREVIEW, SELECTED, LEFT_OUT}


def write_table(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records of the same columns as a CSV file in which no cell is a formula, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]))
    writer.writeheader()
    writer.writerows({name: inert(cell) for name, cell in record.items()} for record in records)
    write_whole(path, text.getvalue().encode())


def _read_table(path: Path) -> tuple[dict[str, str], ...]:
    """The records of a table, cells as text; none where there is no such file."""
    if not path.is_file():
        return ()
    with open(path, encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def inert(cell: Any) -> Any:
    """A cell of a spreadsheet that no program takes for a formula: text that starts like one gets a ' in front.

    Class folders, file names and messages are others' words; numbers stay as they are.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def checksum(content: bytes) -> str:
    """Of a set's data.safetensors, as its card records it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
