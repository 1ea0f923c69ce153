"""The page of a verdict: what passed, what did not, where, and how far the checks looked."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from twin_resources import report
from twin_resources.quality.samples import Outcome, Verdict

_SHOWN = 200
"""Flags that are listed of each check."""


def html(verdict: Verdict, title: str, files: Sequence[str], excerpts: Mapping[int, str]) -> str:
    """One HTML file that needs nothing else.

    Args:
        files: what was checked.
        excerpts: the instruction of flagged samples by index.
    """
    failed = ", ".join(each.check.name for each in verdict.failed)
    intro = (
        f"{', '.join(files)}: {verdict.samples:,} samples "
        f"({', '.join(f'{count:,} {split}' for split, count in verdict.splits.items())}). "
        + (f"Blocked by: {failed}." if failed else "No blocking check failed.")
    )
    parts: list[tuple[str, str | Path]] = []
    with tempfile.TemporaryDirectory() as folder:
        plot = Path(folder) / "shares.png"
        looked = [each for each in verdict.outcomes if not each.skipped and (each.flagged or each.check.blocking)]
        if any(each.flagged for each in looked):
            shares(looked, plot)
            parts.append(("Share of samples flagged", plot))
        parts.append(("Checks", report.table([_row(each) for each in verdict.outcomes])))
        if verdict.measures:
            rows = [
                {"measure": name.replace("_", " "), "share": f"{value:.1%}"} for name, value in verdict.measures.items()
            ]
            parts.append(("Measures", report.table(rows)))
        if verdict.notes:
            parts.append(("What was not looked at", report.table([{"note": note} for note in verdict.notes])))
        for outcome in verdict.outcomes:
            found = [flag for flag in verdict.flags if flag.check == outcome.check.name]
            if found:
                rows = [
                    {"sample": flag.index, "reason": flag.reason, "instruction": excerpts.get(flag.index, "")[:160]}
                    for flag in found[:_SHOWN]
                ]
                more = f"<p>… and {len(found) - _SHOWN:,} more</p>" if len(found) > _SHOWN else ""
                parts.append((f"{outcome.check.name}: {len(found):,}", report.table(rows) + more))
        return report.page(title, intro, parts)


def _row(outcome: Outcome) -> dict[str, object]:
    check = outcome.check
    if outcome.skipped:
        result, share = f"skipped: {outcome.skipped}", ""
    else:
        result = "passed" if outcome.passed else "FAILED" if check.blocking else "warning"
        share = f"{outcome.share:.2%}"
    return {
        "check": check.name,
        "what it looks for": check.says,
        "looked at": f"{outcome.looked_at:,}",
        "flagged": f"{outcome.flagged:,}",
        "share": share,
        "allowed": f"{check.allowed:.1%}",
        "blocks": "yes" if check.blocking else "no",
        "result": result,
    }


def shares(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw the share that each check flagged into a PNG file."""
    report.levels({each.check.name: each.share for each in outcomes}, path, "share of the samples looked at")
