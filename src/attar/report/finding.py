"""What a comparison says, in a sentence. A method is chosen by validation or not at all, never by its test score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attar.report.comparison import FULL, RANDOM, Cell, Comparison
from attar.report.verdict import points

__all__ = ["Finding", "find", "found", "sentence_of"]


@dataclass(frozen=True)
class Finding:
    """What was found at one budget with the first network.

    Args:
        per_class: the budget.
        cells: the methods that have a score there, random rows left out.
        chosen: the one with the best validation accuracy, or the only one; None where nothing chooses.
        by_validation: whether validation chose it.
        random: random rows with the labels of `chosen` (or the first there are); None where they have no score.
        full: full data.
        failed: methods that have no whole score, with hard labels or soft ones.
    """

    per_class: int
    cells: tuple[Cell, ...]
    chosen: Cell | None
    by_validation: bool
    random: Cell | None
    full: Cell | None
    failed: tuple[str, ...]

    @property
    def several_labels(self) -> bool:
        """Whether methods were compared with more than one kind of labels."""
        return len({cell.labels for cell in self.cells}) > 1

    @property
    def pays(self) -> bool | None:
        """Whether `chosen` is above random rows: all of the interval of their paired difference, or else the means by
        more than one spread. None where that is not known."""
        if self.chosen is None or self.chosen.mean is None:
            return None
        if self.certain:
            return True
        if self.random is None or self.random.mean is None:
            return None if self.certain is None else False
        return self.chosen.mean > self.random.mean + max(self.chosen.std or 0.0, self.random.std or 0.0)

    @property
    def certain(self) -> bool | None:
        """Whether all of the interval of the paired difference to random rows is above zero; None without an interval."""
        return self.chosen.against_random.above if self.chosen and self.chosen.against_random else None


def find(comparison: Comparison, per_class: int) -> Finding:
    """What was found at a budget with the first network."""
    model = comparison.models[0]
    here = comparison.at(per_class, model)
    methods = [cell for cell in here if not cell.is_random and cell.method != FULL]
    scored = [cell for cell in methods if cell.mean is not None and not cell.failed]  # all of its runs, not some
    validated = [cell for cell in scored if cell.validation is not None]
    chosen = max(validated, key=lambda cell: cell.validation or 0.0, default=None)
    by_validation = chosen is not None and len(scored) > 1
    if len(validated) < len(scored):  # a choice among some of them would hide the others
        chosen, by_validation = None, False
    if len(scored) == 1:
        chosen = scored[0]
    random = comparison.random_beside(chosen) if chosen else None
    if chosen is None:
        random = next((cell for cell in here if cell.method == RANDOM and cell.mean is not None), None)
    return Finding(
        per_class,
        tuple(scored),
        chosen,
        by_validation,
        random if random is not None and random.mean is not None else None,
        comparison.full(model),
        tuple(name for name in dict.fromkeys(c.method for c in methods) if not any(c.method == name for c in scored)),
    )


def found(comparison: Comparison) -> list[Finding]:
    """What was found, from the largest budget to the smallest; budgets without a score last."""
    findings = [find(comparison, per_class) for per_class in reversed(comparison.budgets)]
    return sorted(findings, key=lambda finding: not finding.cells)


def sentence_of(comparison: Comparison, finding: Finding | None = None) -> str:
    """The finding in one plain sentence; where none is given, that of the largest budget, with "So far" before it
    while cells are still to be done.

    Example:
        "10 images a class keep 97.2 of 99.4 points (dm, chosen by validation); random rows keep 94.8."
    """
    if finding is None:
        findings = found(comparison)
        if not findings:
            return "Nothing has been compared yet."
        said = sentence_of(comparison, findings[0])
        return f"So far: {said}" if comparison.left else said
    kept = in_words(finding.per_class)
    if finding.chosen is not None and finding.chosen.mean is not None:
        said = _of_chosen(finding, finding.chosen, finding.chosen.mean, kept)
    elif finding.cells:
        said = _of_several(finding, kept)
    elif finding.random is not None and finding.random.mean is not None:
        verb, of = _measure(finding, [finding.random])
        keep = _agree(verb, finding.per_class)
        said = f"{kept}, drawn at random, {keep} {points(finding.random.mean)}{of} points; no method has a score beside them"
    else:
        said = f"{kept}: nothing has a score"
    failed = f"; {_listed(finding.failed)} failed" if finding.failed else ""
    return f"{said}{failed}."


def in_words(per_class: int) -> str:
    """ "10 images a class"."""
    return f"{per_class:,} image{'s' if per_class != 1 else ''} a class"


def _of_chosen(finding: Finding, chosen: Cell, mean: float, kept: str) -> str:
    random, full = finding.random, finding.full
    how = f"{chosen.method}, chosen by validation" if finding.by_validation else chosen.method
    how += f", {chosen.labels} labels" if finding.several_labels else ""
    once = " (one run each, so chance is not told apart)" if chosen.runs == 1 and random is not None else ""
    if finding.pays is False and random is not None and random.mean is not None:
        ending = f", full data {points(full.mean)}" if full is not None and full.mean is not None else ""
        reach = _agree("reach", finding.per_class)
        return f"No gain over random: {kept} {reach} {points(mean)} points ({how}), random rows {_spread(random)}{ending}{once}"
    verb, of = _measure(finding, [chosen])
    beside = "; random rows with the same labels were not evaluated"
    if random is not None and random.mean is not None:
        beside = f"; random rows {verb} {points(random.mean)}"
    above = ""
    if full is not None and full.mean is not None and mean > full.mean:
        above = f"; full data reach {points(full.mean)}"
    coreset = (
        "; no gain over the best coreset" if chosen.against_coreset and chosen.against_coreset.above is False else ""
    )
    chance = "; so few runs do not rule out chance" if finding.certain is False else ""
    return f"{kept} {_agree(verb, finding.per_class)} {points(mean)}{of} points ({how}){beside}{chance}{above}{coreset}{once}"


def _of_several(finding: Finding, kept: str) -> str:
    """Nothing chooses among the methods: all are told, or their range where they are many."""
    verb, of = _measure(finding, finding.cells)
    random = finding.random
    beside = f"; random rows {verb} {points(random.mean)}" if random is not None and random.mean is not None else ""
    several = finding.several_labels
    if len(finding.cells) <= 4:
        told = _listed(
            [
                f"{points(cell.mean or 0.0)} with {cell.method}{f' ({cell.labels} labels)' if several else ''}"
                for cell in finding.cells
            ]
        )
    else:
        means = [cell.mean or 0.0 for cell in finding.cells]
        told = f"between {points(min(means))} and {points(max(means))}"
    return (
        f"{kept} {_agree(verb, finding.per_class)} {told}{of} points{beside}; "
        "no method was chosen, as not all have a validation score"
    )


def _measure(finding: Finding, cells: Sequence[Cell]) -> tuple[str, str]:
    """ "keep" and " of 99.4" where full data is above all of the cells, or else "reach" and nothing."""
    full = finding.full
    if full is None or full.mean is None or any((cell.mean or 0.0) > full.mean for cell in cells):
        return "reach", ""
    return "keep", f" of {points(full.mean)}"


def _agree(verb: str, per_class: int) -> str:
    if per_class != 1:
        return verb
    return f"{verb}es" if verb.endswith("ch") else f"{verb}s"


def _spread(cell: Cell) -> str:
    spread = "" if cell.std is None else f" ± {points(cell.std)}"
    return f"{points(cell.mean or 0.0)}{spread}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
