"""A distilled table: real columns, weights and the sample size that the rows stand for; saved as a folder that opens without attar."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from attar.distilled.card import FORMAT_VERSION, attar_version, damaged, parse, prepared_text, size_text
from attar.distilled.chosen import named
from attar.distilled.dataset import CARD, DATA, README, Distilled, checked, checksum, inert
from attar.distilled.folders import whole_folder
from attar.distilled.readme import cell, hub_header
from attar.errors import AttarError
from attar.tables import Column, Schema, Statistics, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TABLE", "DistilledTable", "as_table", "label_form", "labels_of"]

TABLE = "table.csv"
# Run in the folder of the set; needs numpy and safetensors. Tested as it stands.
OPEN_WITHOUT_ATTAR = """\
import json
from safetensors.numpy import load_file
card = json.load(open("card.json", encoding="utf-8"))
data = load_file("data.safetensors")
names = [column["name"] for column in card["columns"]]
soft = {name: data["soft." + name] for name in names if "soft." + name in data}  # probabilities of a column's categories
rows = dict(zip([name for name in names if name not in soft], data["values"].T))  # numbers, or codes of categories
n, weight = card["n_represented"], data.get("weight")  # the sample size that tests read, and what rows weigh
print(len(rows), len(soft), data["values"].shape, n)
"""


@dataclass(frozen=True, eq=False)
class DistilledTable:
    """A distilled table.

    Args:
        data: the rows, in the units of the source, on the CPU.
        target: the column that is predicted, "" where there is none.
        treatment: the column whose effect is asked for, "" where there is none.
        keeps: what of the source the rows keep, a sentence each.
        warnings: what a reader must know before reading them, a sentence each; that their number is not the sample size is said
            without being asked.
        made_by: where it comes from, JSON values only, as of `attar.Distilled`.
        label_form: "soft" or "hard" where cells do not say what the target is to those who train on the rows (see `labels`): of
            numbers in place of categories (see `label_form`).

    Raises:
        AttarError: if target or treatment is no column, or there is no such form of labels.
    """

    data: Table
    target: str = ""
    treatment: str = ""
    keeps: Sequence[str] = ()
    warnings: Sequence[str] = ()
    made_by: Mapping[str, Any] = field(default_factory=dict)
    label_form: Literal["hard", "soft", ""] = ""

    def __post_init__(self) -> None:
        for name in (self.target, self.treatment):
            if name:
                self.data.place(name)
        if self.label_form not in ("hard", "soft", ""):
            raise AttarError(f"Labels of a distilled table are hard or soft, not '{self.label_form}'.")
        if self.label_form == "hard" and self.target in self.data.soft and not self.data.column(self.target).numeric:
            raise AttarError(
                f"The target '{self.target}' holds probabilities, so its labels are not hard: leave out label_form."
            )

    @property
    def labels(self) -> Literal["hard", "soft"]:
        """What the target is to those who train on the rows: "soft" where these tell how probable each class is, else "hard"."""
        return self.label_form or ("soft" if self.target in self.data.soft else "hard")

    def __len__(self) -> int:
        return len(self.data)

    @property
    def nbytes(self) -> int:
        """The true cost: bytes of every tensor that is saved; codes of soft columns follow from their probabilities, and are not."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._tensors().values())

    def frame(self) -> pd.DataFrame:
        """The rows as a pandas frame, with a last column of weights where there are any."""
        found = self.data.frame()
        if self.data.weight is not None:
            found[self._weight_name] = self.data.weight.numpy()
        return found

    def resampled(self, rows: int, seed: int = 0) -> pd.DataFrame:
        """Rows drawn by their weights as a frame, for tools that know neither weights nor probabilities (see `Table.resampled`)."""
        return self.data.resampled(rows, torch.Generator().manual_seed(seed)).frame()

    def save(self, path: str | Path) -> None:
        """Write the set as a folder, whole or not at all; a distilled set that stands there is replaced.

        Raises:
            AttarError: if something else stands at `path`, or it cannot be written.
        """
        card = self.card()
        with whole_folder(path, replaceable=_is_distilled) as folder:
            (folder / DATA).write_bytes(self._content())
            (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            (folder / README).write_text(_readme(card), encoding="utf-8")
            (folder / TABLE).write_text(self._csv(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> DistilledTable:
        """Read the set in a folder (see `attar.Distilled.load`, which finds it).

        Raises:
            AttarError: if it was tampered with or cut short, or is of a newer format.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        card = parse(folder / CARD)
        if checksum(_of_columns(card).encode()) != card.get("columns_checksum"):
            raise damaged(folder / CARD, "what it says of columns is not what was saved")
        try:
            tensors = load(checked(folder / DATA, card.get("checksum")))
            columns = tuple(_column(record) for record in card["columns"])
            soft = {name.removeprefix("soft."): tensors[name] for name in tensors if name.startswith("soft.")}
            stored = iter(tensors["values"].unbind(1))
            parts = [soft[c.name].argmax(1).double() if c.name in soft else next(stored) for c in columns]
            values = torch.stack(parts, dim=1)
            kept = Statistics.from_json(card["statistics"]) if "statistics" in card else None
            table = Table(values, columns, tensors.get("weight"), card["n_represented"], soft, kept)
            keeps, warnings = (tuple(map(str, card[name])) for name in ("keeps", "warnings"))
            made_by = dict(card["made_by"])
            return cls(table, card["target"], card["treatment"], keeps, warnings, made_by, card.get("labels", ""))
        except AttarError:  # which is a ValueError, and says more
            raise
        except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise damaged(folder, "it does not hold what attar writes") from error

    def card(self) -> dict[str, Any]:
        """The card as it is saved, JSON values only."""
        card: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "attar": attar_version(),
            "checksum": checksum(self._content()),
            "modality": "tables",
            "columns": [_record(column) for column in self.data.columns],
            "target": self.target,
            "treatment": self.treatment,
            "labels": self.labels,
            "rows": len(self),
            "n_represented": self.data.n_represented,
            **({} if self.data.kept is None else {"statistics": self.data.kept.to_json()}),
            "nbytes": self.nbytes,
            "shapes": {name: list(tensor.shape) for name, tensor in self._tensors().items()},
            "keeps": list(self.keeps),
            "sample_size": self._sample_size(),
            "warnings": list(self.warnings),
            "made_by": dict(self.made_by),
            "open_without_attar": OPEN_WITHOUT_ATTAR,
        }
        card["columns_checksum"] = checksum(_of_columns(card).encode())
        try:
            return json.loads(json.dumps(card, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise AttarError(
                f"made_by cannot be written into the card of a distilled table ({error}): give finite numbers, text, lists and "
                "dictionaries only."
            ) from error

    def summary(self) -> str:
        """The card in a few lines of plain text."""
        card = self.card()
        return "\n".join([_title(card), *(f"{key:<16}{value}" for key, value in _facts(card)), *_warnings(card)])

    def _sample_size(self) -> str:
        """That the number of rows is not the sample size, of rows that stand for others."""
        stands = self.data.n_represented
        if stands is None or stands == len(self):
            return ""
        rows = "This 1 row stands" if len(self) == 1 else f"These {len(self):,} rows stand"
        return (
            f"{rows} for {stands:,.10g}: tests, scores and standard errors must read n = {stands:,.10g} "
            f"(n_represented); read with n = {len(self):,}, dependencies of the source are lost."
        )

    @property
    def _weight_name(self) -> str:
        name = "weight"
        while name in self.data.names:
            name = f"{name}_"
        return name

    def _tensors(self) -> dict[str, Tensor]:
        """All that is saved, by name; "values" has the columns that are not soft."""
        hard = [place for place, name in enumerate(self.data.names) if name not in self.data.soft]
        values = self.data.values[:, hard]
        soft = {f"soft.{name}": shares.double() for name, shares in self.data.soft.items()}
        weight = {} if self.data.weight is None else {"weight": self.data.weight}
        return {name: tensor.contiguous().clone() for name, tensor in {"values": values, **weight, **soft}.items()}

    def _content(self) -> bytes:
        from safetensors.torch import save

        return save(self._tensors())

    def _csv(self) -> str:
        """The rows for people: categories by name, of a soft column a column of probabilities for each category."""
        columns: list[tuple[str, list[Any]]] = []  # two may come to be called the same
        for column, values in zip(self.data.columns, self.data.values.T.tolist(), strict=True):
            if column.name in self.data.soft:
                for name, shares in zip(column.categories, self.data.soft[column.name].T.tolist(), strict=True):
                    columns.append((f"{column.name}={name}", shares))
            elif column.discrete:
                named = ["" if math.isnan(code) else inert(column.categories[int(code)]) for code in values]
                columns.append((column.name, named))
            else:
                columns.append((column.name, ["" if math.isnan(value) else _shortest(value) for value in values]))
        if self.data.weight is not None:
            columns.append((self._weight_name, [_shortest(weight) for weight in self.data.weight.tolist()]))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([inert(name) for name, _ in columns])
        writer.writerows(zip(*(cells for _, cells in columns), strict=True))
        return text.getvalue()


def labels_of(card: Mapping[str, Any]) -> str:
    """The `label_form` that a card says; of a card that says none, which earlier versions wrote, what the cells are."""
    return card.get("labels") or ("soft" if f"soft.{card['target']}" in card["shapes"] else "hard")


def label_form(rows: Table, schema: Schema) -> Literal["hard", "soft"]:
    """What the target of a schema is in rows: "soft" where it has classes and the rows hold probabilities of them, or numbers in
    their place (see `attar.tables.as_numbers`), else "hard"."""
    target = schema.target
    told = target in rows.names and target not in rows.soft and rows.column(target).discrete
    return "soft" if schema.classes and not told else "hard"


def as_table(value: Distilled | DistilledTable, schema: Schema) -> DistilledTable:
    """A set of encoded rows as the columns that they stand for; one that is a table already as it is.

    Rows that were chosen are hard. Those that were made have probabilities where a column has categories, and labels that were
    learned become the nearest probabilities.
    """
    if isinstance(value, DistilledTable):
        return value
    batch, chosen = value.data, bool(value.selected)
    said = dict(value.made_by.get("table", {}))  # by a method that knows more of its rows
    rows = schema.table(batch.x, batch.y, batch.weight, said.get("n_represented"), soft=not chosen)
    if not chosen:
        rows = rows.replace(kept=Statistics.from_json(said["statistics"]) if "statistics" in said else Statistics())
    plain = [] if chosen else ["These rows were made to learn from: no statistic of the source is promised to be kept."]
    keeps, warnings = said.get("keeps", ()), list(said.get("warnings", plain))
    learned = value.training.labels in ("learned", "regression") and bool(schema.classes)
    if not chosen and "table" not in value.made_by:
        warnings.append(
            "Numbers were brought into the ranges of the source, and categories to the nearest probabilities."
        )
    if learned:
        warnings.append(f"Of '{schema.target}', which was learned, the nearest probabilities are kept.")
    made_by = {**value.made_by, **({"selected": [dict(row) for row in value.selected]} if chosen else {})}
    made_by.pop("table", None)
    return DistilledTable(rows, schema.target, schema.treatment, keeps, warnings, made_by)


def _shortest(value: float) -> str:
    """The fewest digits that are read as the same number."""
    return repr(value).removesuffix(".0")


def _record(column: Column) -> dict[str, Any]:
    """A column as a card holds it: without what is not known."""
    known = dataclasses.asdict(column)
    return {name: value for name, value in known.items() if not (isinstance(value, float) and math.isnan(value))}


def _column(record: Mapping[str, Any]) -> Column:
    return Column(**{**record, "categories": tuple(record["categories"])})


def _of_columns(card: Mapping[str, Any]) -> str:
    """What a card says of how its rows are to be read, which a checksum guards."""
    later = [name for name in ("labels", "statistics") if name in card]  # earlier versions wrote none
    told = ("columns", "target", "treatment", "n_represented", *later)
    return json.dumps([card[name] for name in told], sort_keys=True)


def _is_distilled(folder: Path) -> bool:
    """Whether a folder is a distilled table that attar wrote, so that nothing else is ever overwritten."""
    names = {item.name for item in folder.iterdir()}
    return {DATA, CARD} <= names <= {DATA, CARD, README, TABLE}


def _warnings(card: Mapping[str, Any]) -> list[str]:
    return [card["sample_size"]] * bool(card["sample_size"]) + card["warnings"]


def _title(card: Mapping[str, Any]) -> str:
    made_by = card["made_by"]
    by = f" by {named(made_by)}" if "name" in made_by else ""
    return f"{made_by.get('data', 'a table')}, distilled{by}"


def _facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What there is to say of a set, each with its name."""
    kinds = [column["kind"] for column in card["columns"]]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    stands, made_by = card["n_represented"], card["made_by"]
    soft = [name.removeprefix("soft.") for name in card["shapes"] if name.startswith("soft.")]
    known = {
        "rows": f"{card['rows']:,}" + (" with weights" if "weight" in card["shapes"] else ""),
        "n_represented": "" if stands is None else f"{stands:,.10g}",
        "columns": f"{len(kinds)}: {counted}",
        "soft columns": ", ".join(soft),
        "target": card["target"],
        "treatment": card["treatment"],
        "keeps": "; ".join(card["keeps"]),
        "size": f"{size_text(card['nbytes'])} ({card['nbytes']:,} bytes)",
        "source": " ".join(str(made_by[key]) for key in ("data", "fingerprint") if key in made_by),
        "seed": str(made_by.get("seed", "")),
        "seconds": f"{made_by['seconds']:,.1f}" if "seconds" in made_by else "",
        "of which": prepared_text(made_by),
    }
    return [(name, value) for name, value in known.items() if value]


def _task(card: Mapping[str, Any]) -> str:
    """What hubs call what is predicted."""
    target = next((_column(column) for column in card["columns"] if column["name"] == card["target"]), None)
    if target is None:
        return "other"
    return "tabular-regression" if target.numeric else "tabular-classification"


def _readme(card: Mapping[str, Any]) -> str:
    """A dataset card in Markdown with the header that dataset hubs read."""
    licence = str(card["made_by"].get("licence", "unknown"))
    lines = [f"| {cell(name)} | {cell(value)} |" for name, value in _facts(card)]
    rows = "1 row that stands" if card["rows"] == 1 else f"{card['rows']:,} rows that stand"
    ranges = [
        f"{column['low']:g} to {column['high']:g}" if "low" in column else ", ".join(map(str, column["categories"]))
        for column in card["columns"]
    ]
    columns = [
        f"| {cell(column['name'])} | {column['kind']} | {cell(told)} |"
        for column, told in zip(card["columns"], ranges, strict=True)
    ]
    return "\n".join(
        [
            hub_header(_title(card), licence, card["rows"], _task(card), "dataset-distillation"),
            f"# {cell(_title(card))}\n",
            f"{rows} in for {cell(card['made_by'].get('data', 'a table'))}. Made with attar, which distils datasets.\n",
            *(f"**{cell(warning)}**\n" for warning in _warnings(card)),
            f"`{TABLE}` has the rows as people read them. Exact to the last digit, in this folder (needs numpy and safetensors):\n",
            f"```python\n{card['open_without_attar'].rstrip()}\n```\n",
            "With attar: `attar.Distilled.load(path).data`.\n",
            "## Facts\n\n| | |\n|---|---|",
            *lines,
            "\n## Columns\n\n| column | kind | values in the source |\n|---|---|---|",
            *columns,
            "\n## How it was made\n\n```json",
            json.dumps(card["made_by"], indent=2, ensure_ascii=False),
            f"```\n\n## Licence\n\nTerms of the source data: {cell(licence)}. A distilled set is derived from its source.\n",
        ]
    )
