"""The dataset card of a distilled set: the Markdown that people read, with the header that dataset hubs read."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from attar.distilled.card import SQUARED, WEIGHTED, facts, names_of, numbers, title, whitening_text

__all__ = ["cell", "hub_header", "readme"]

_HEADER = """\
---
pretty_name: {pretty_name}
license: {terms}
task_categories:
- {task}
tags:
- {tag}
- attar
size_categories:
- {size}
---
"""

_README = """\
{header}
# {title}

{kind} {data}: {rows} images in {classes} classes to train on in its place, {how}.
Made with attar, which distils datasets.{chosen}

![Up to ten images of each class](preview.png)

The picture is clipped to [0, 1]; the data is not.

## Open it

Without attar, in this folder (needs torch and safetensors):

```python
{code}
```

With attar: `attar.Distilled.load(path).normalised()`.

`x` is stored in raw units. The lines above apply the normalisation that training expects: mean {mean} and std {std},
by channel.{whitening}{weights}

## Facts

| | |
|---|---|
{facts}

## Classes

| id | class | images |
|---|---|---|
{counts}

## How it was made

```json
{made_by}
```

## Licence

Terms of the source data: {licence}. {terms_hold}
"""

_WHITENING = """

After that rows are whitened ({whitening}). The file is kept in half, as its matrix is symmetric."""

_WEIGHTS = f"""

The rows have weights, and the loss to train on is the {WEIGHTED}: of a batch
`(weight * losses).sum() / weight.sum()`."""

_TARGETS = f"""

The labels are targets of regression, a number a class, and the loss to train on is {SQUARED}: of a batch
`((answers - y) ** 2).mean()`. The class of a row is that of its largest target."""

# Licences that a dataset card's header may name; any other is given as text.
_HUB_LICENCES = ("apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "mit")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))


def readme(card: Mapping[str, Any]) -> str:
    """A dataset card in Markdown with the header that dataset hubs read."""
    scale, made_by, counts = card["training"]["normalisation"], card["made_by"], card["counts"]
    rows, licence = card["shapes"]["x"][0], str(made_by.get("licence", "unknown"))
    white = whitening_text(scale.get("whitening"))
    names, kind = names_of(card["class_names"], len(counts)), _of_kind(card)
    return _README.format(
        header=hub_header(title(card), licence, rows, "image-classification", kind.pop("tag")),
        title=cell(title(card)),
        data=cell(made_by.get("data", "a dataset")),
        **kind,
        rows=f"{rows:,}",
        classes=len(counts),
        code=card["open_without_attar"].rstrip(),
        mean=numbers(scale["mean"]),
        std=numbers(scale["std"]),
        whitening=_WHITENING.format(whitening=white) if white else "",
        weights=(_TARGETS if card["training"]["labels"] == "regression" else "")
        + (_WEIGHTS if "weight" in card["shapes"] else ""),
        facts="\n".join(f"| {cell(key)} | {cell(value)} |" for key, value in facts(card) if key != "chosen"),
        counts="\n".join(f"| {i} | {cell(name)} | {counts[i]:,} |" for i, name in enumerate(names)),
        made_by=json.dumps(_published(made_by), indent=2, ensure_ascii=False),
        licence=cell(licence),
    )


def hub_header(title: str, licence: str, rows: int, task: str, tag: str) -> str:
    """The header that dataset hubs read.

    Args:
        title: of the set.
        licence: terms of the source.
        rows: their number.
        task: what hubs call what is learned, e.g. "image-classification".
        tag: what they call how the set was made.
    """
    known = licence.lower().replace(" ", "-")
    return _HEADER.format(
        # Text in the header is written as JSON, which YAML reads as it is.
        pretty_name=json.dumps(title),
        terms=known if known in _HUB_LICENCES else f"other\nlicense_name: {json.dumps(licence)}",
        task=task,
        tag=tag,
        size=next((name for bound, name in _SIZES if rows < bound), "n>100K"),
    )


def _published(value: Any) -> Any:
    """A record with the last part in place of each path of this machine: the card itself keeps them, people publish this."""
    if isinstance(value, Mapping):
        return {key: _published(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_published(item) for item in value]
    if isinstance(value, str):
        path = next((kind(value) for kind in (PurePosixPath, PureWindowsPath) if kind(value).is_absolute()), None)
        return value if path is None else path.name or value
    return value


def _of_kind(card: Mapping[str, Any]) -> dict[str, str]:
    """What a dataset card says otherwise of rows that were chosen than of rows that were made."""
    made_by = card["made_by"]
    how = f"by the method `{cell(made_by['name'])}`" if "name" in made_by else "by the method recorded below"
    if "chosen" in card:
        return {
            "tag": "coreset",
            "kind": "A small part of",
            "how": f"chosen {how}",
            "chosen": f"\n\n{cell(card['chosen'])}.",
            "terms_hold": "The rows are the source's own: its terms hold for each, as does what is owed to whoever is in it.",
        }
    return {
        "tag": "dataset-distillation",
        "kind": "A small stand-in for",
        "how": f"made {how}",
        "chosen": "",
        "terms_hold": "A distilled set is derived from its source.",
    }


def cell(value: Any) -> str:
    """Text that neither breaks a Markdown table nor becomes markup."""
    return html.escape(" ".join(str(value).split()), quote=False).replace("|", "\\|").replace("`", "'")
