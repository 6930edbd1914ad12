"""What a comparison says, in a sentence. A method is chosen by validation or not at all, never by its test score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attar.compare.study import RANDOM, WHOLE
from attar.evaluation import judges
from attar.report.comparison import Line, Table
from attar.report.words import listed, points, spread_text

__all__ = ["Finding", "find", "found", "sentence_of"]


POINTS = "points"


@dataclass(frozen=True)
class Finding:
    """What was found at one budget with the leading network.

    Args:
        per_class: the budget.
        lines: the methods that have a score there, random rows left out.
        chosen: the one with the best validation accuracy, or the only one; None where nothing chooses.
        by_validation: whether validation chose it.
        random: random rows with the labels of `chosen` (or the first there are); None where they have no score.
        full: full data.
        failed: methods that have no whole score, with hard labels or soft ones.
        unit: what scores are told in.
    """

    per_class: int
    lines: tuple[Line, ...]
    chosen: Line | None
    by_validation: bool
    random: Line | None
    full: Line | None
    failed: tuple[str, ...]
    unit: str = POINTS

    @property
    def several_labels(self) -> bool:
        """Whether methods were compared with more than one kind of labels."""
        return len({line.labels for line in self.lines}) > 1

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


def find(table: Table, per_class: int) -> Finding:
    """What was found at a budget with the leading network."""
    model = table.leading
    here = table.at(per_class, model)
    labels = {line.method for line in here}
    methods = [
        line for line in here if not line.is_random and line.method not in WHOLE and _stepped(line.method) not in labels
    ]
    scored = [line for line in methods if line.mean is not None and not line.failed]  # all of its runs, not some
    validated = [line for line in scored if line.validation is not None]
    chosen = max(validated, key=lambda line: line.validation or 0.0, default=None)
    by_validation = chosen is not None and len(scored) > 1
    if len(validated) < len(scored):  # a choice among some of them would hide the others
        chosen, by_validation = None, False
    if len(scored) == 1:
        chosen = scored[0]
    random = table.random_beside(chosen) if chosen else None
    if chosen is None:
        random = next((line for line in here if line.method == RANDOM and line.mean is not None), None)
    return Finding(
        per_class,
        tuple(scored),
        chosen,
        by_validation,
        random if random is not None and random.mean is not None else None,
        table.full(model),
        tuple(name for name in dict.fromkeys(c.method for c in methods) if not any(c.method == name for c in scored)),
        POINTS if judges.learns(model) else "decisions on independence",
    )


def _stepped(label: str) -> str | None:
    """The label of the method whose start a line of this label would be: "dm+lr=10" of "dm-start+lr=10"."""
    name, plus, settings = label.partition("+")
    return f"{name.removesuffix('-start')}{plus}{settings}" if name.endswith("-start") else None


def found(table: Table) -> list[Finding]:
    """What was found, from the largest budget to the smallest; budgets without a score last."""
    findings = [find(table, per_class) for per_class in reversed(table.budgets)]
    return sorted(findings, key=lambda finding: not finding.lines)


def sentence_of(table: Table, finding: Finding | None = None) -> str:
    """The finding in one plain sentence; where none is given, that of the largest budget, with "So far" before it
    while cells are still to be done.

    Example:
        "10 images a class keep 97.2 of 99.4 points (dm, chosen by validation); random rows keep 94.8."
    """
    if finding is None:
        findings = found(table)
        if not findings:
            return "Nothing has been compared yet."
        said = sentence_of(table, findings[0])
        return f"So far: {said}" if table.left else said
    kept = table.counted.told(finding.per_class)
    if finding.chosen is not None and finding.chosen.mean is not None:
        said = _of_chosen(finding, finding.chosen, finding.chosen.mean, kept)
    elif finding.lines:
        said = _of_several(finding, kept)
    elif finding.random is not None and finding.random.mean is not None:
        verb, of = _measure(finding, [finding.random])
        keep = _agree(verb, finding.per_class)
        said = f"{kept}, drawn at random, {keep} {points(finding.random.mean)}{of} {finding.unit}; no method has a score beside them"
    else:
        said = f"{kept}: nothing has a score"
    failed = f"; {listed(finding.failed)} failed" if finding.failed else ""
    return f"{said}{failed}."


def _of_chosen(finding: Finding, chosen: Line, mean: float, kept: str) -> str:
    random, full = finding.random, finding.full
    how = f"{chosen.method}, chosen by validation" if finding.by_validation else chosen.method
    how += f", {chosen.labels} labels" if finding.several_labels else ""
    once = " (one run each, so chance is not told apart)" if chosen.runs == 1 and random is not None else ""
    if finding.pays is False and random is not None and random.mean is not None:
        ending = f", full data {points(full.mean)}" if full is not None and full.mean is not None else ""
        reach = _agree("reach", finding.per_class)
        drawn = spread_text(random.mean, random.std)
        of = "" if finding.unit == POINTS else " of 100"
        return f"No gain over random: {kept} {reach} {points(mean)}{of} {finding.unit} ({how}), random rows {drawn}{ending}{once}"
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
    return f"{kept} {_agree(verb, finding.per_class)} {points(mean)}{of} {finding.unit} ({how}){beside}{chance}{above}{coreset}{once}"


def _of_several(finding: Finding, kept: str) -> str:
    """Nothing chooses among the methods: all are told, or their range where they are many."""
    verb, of = _measure(finding, finding.lines)
    random = finding.random
    beside = f"; random rows {verb} {points(random.mean)}" if random is not None and random.mean is not None else ""
    several = finding.several_labels
    if len(finding.lines) <= 4:
        told = listed(
            [
                f"{points(line.mean or 0.0)} with {line.method}{f' ({line.labels} labels)' if several else ''}"
                for line in finding.lines
            ]
        )
    else:
        means = [line.mean or 0.0 for line in finding.lines]
        told = f"between {points(min(means))} and {points(max(means))}"
    why = "" if finding.unit != POINTS else "; no method was chosen, as not all have a validation score"
    return f"{kept} {_agree(verb, finding.per_class)} {told}{of} {finding.unit}{beside}{why}"


def _measure(finding: Finding, lines: Sequence[Line]) -> tuple[str, str]:
    """ "keep" and " of 99.4" where full data is above all of the lines, or else "reach" and nothing."""
    full = finding.full
    if finding.unit != POINTS:
        return "keep", " of 100"
    if full is None or full.mean is None or any((line.mean or 0.0) > full.mean for line in lines):
        return "reach", ""
    return "keep", f" of {points(full.mean)}"


def _agree(verb: str, per_class: int) -> str:
    if per_class != 1:
        return verb
    return f"{verb}es" if verb.endswith("ch") else f"{verb}s"
