"""The gate between a trained adapter and its readers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twin_assets.evaluate.metrics import FEWEST_DOCUMENTS
from twin_assets.evaluate.style import FEWEST_DOCUMENTS as FEWEST_HEARD
from twin_assets.evaluate.style import differences, gained
from twin_assets.release.probes import judged_rule, rules_on_probes
from twin_resources.config.release import ReleaseSettings
from twin_resources.style.blind.comparison import Comparison
from twin_resources.style.blind.sequence import FEWEST, Standing

FEWEST_CONVERSATIONS = 8
"""Of readers' questions; a bootstrap over fewer is too narrow."""


def decide(
    figures: Mapping[str, Any],
    rules: ReleaseSettings,
    style: Mapping[str, Any] | None = None,
    blind: Comparison | None = None,
    shadow: Mapping[str, Any] | None = None,
    judge: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Whether an adapter may serve.

    Args:
        figures: metrics of the generation report.
        style: metrics of the style report, where there is one.
        blind: how readers of blind tests do on it, and on what speaks now.
        shadow: metrics of the report on readers' questions, answered by it and by what speaks now, where there is one.
        judge: verdicts of a language model on it, where one is configured.

    Returns:
        ``passed``, the names of the ``failed`` rules, and for each rule what was asked and what was found. A rule that
        could not be looked at and is there to say so has ``counted`` false.
    """
    candidate, champion = figures["candidate"], figures.get("champion")
    loss = figures["loss"]
    (low, high), documents = figures["gain_interval"], figures["documents"]
    enough = documents >= FEWEST_DOCUMENTS
    rules_found: dict[str, dict[str, Any]] = {
        "better_than_base": {
            "asked": f"held-out loss at least {rules.min_loss_gain:.1%} below the base",
            "found": _lies(figures["gain"]),
            "passed": figures["gain"] >= rules.min_loss_gain,
        },
        "gain_is_certain": {
            "asked": "the 95% interval of the gain on unseen documents lies above zero; it takes "
            f"{FEWEST_DOCUMENTS} documents",
            "found": f"{_between(low, high)} the base, over {documents} documents"
            if enough
            else f"not known: there are {documents} documents",
            "passed": low > 0,
        },
    }
    if champion and champion in loss and champion != candidate:
        rise = loss[candidate] / loss[champion] - 1 if loss[champion] else 0.0
        rules_found["not_worse_than_champion"] = {
            "asked": f"held-out loss at most {rules.max_loss_regression:.1%} above {champion}",
            "found": _lies(-rise),
            "passed": rise <= rules.max_loss_regression,
        }
    if led := figures.get("tournament"):
        several = led["rivals"] > 1
        others = f"each of {led['rivals']} adapters of other authors" if several else "the adapter of another author"
        spread = f"; on other documents like these, {_between(*led['lead_interval'])}" if enough else ""
        rules_found["predicts_its_author_best"] = {
            "asked": f"lower held-out loss than {others}",
            "found": f"{_lies(led['lead'])} {'the best of them' if several else 'it'}{spread}",
            "passed": led["lead"] > 0,
            "counted": True,
        }
    else:
        rules_found["predicts_its_author_best"] = {
            "asked": "lower held-out loss than the adapters of other authors",
            "found": "not counted: no other author has one over this base yet; it is measured against the first one at "
            "the next evaluation after that",
            "passed": True,
            "counted": False,
        }
    rules_found |= rules_on_probes(figures, rules)
    rules_found |= _style_rules(style or {}, rules)
    rules_found |= _shadow_rules(shadow or {}, rules.max_shadow_loss)
    if blind:
        rules_found["blind_test"] = _blind_rule(blind, rules.max_blind_lead)
    if judge:
        rules_found["judge_prefers_no_other"] = judged_rule(judge)
    failed = [name for name, rule in rules_found.items() if not rule["passed"]]
    return {"passed": not failed, "failed": failed, "rules": rules_found}


def _lies(gain: float) -> str:
    """How far a loss lies below another one, or above."""
    return f"{abs(gain):.1%} {'below' if gain >= 0 else 'above'}"


def _between(low: float, high: float) -> str:
    """An interval of such distances."""
    if low < 0 <= high:
        return f"from {_lies(low)} to {_lies(high)}"
    near, far = sorted((abs(low), abs(high)))
    return f"from {near:.1%} to {_lies(far if high >= 0 else -far)}"


def _style_rules(style: Mapping[str, Any], rules: ReleaseSettings) -> dict[str, dict[str, Any]]:
    """Rules about how much an adapter sounds like the author; none where that could not be measured.

    A fall counts where it is certain: where the whole interval lies below what is allowed.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, over in (("sounds_no_less_than_base", "base"), ("sounds_no_less_than_champion", "champion")):
        heard = differences(style, "adapter", over)
        if heard is None:
            continue
        gain, few = gained(style, "adapter", over), len(heard)
        on = "1 document" if few == 1 else f"{few} documents"
        said = f"not counted: on {on} both wrote enough to be heard, and {FEWEST_HEARD} are needed"
        if gain:
            value, low, high = gain
            said = f"{value:+.2f}, from {low:+.2f} to {high:+.2f} over documents"
        found[name] = {
            "asked": f"style not certainly more than {rules.max_style_loss:.2f} below the {over} "
            "(0 other people's writing, 1 the author's own)",
            "found": said,
            "passed": gain is None or gain[2] >= -rules.max_style_loss,
            "counted": gain is not None,
        }
    if mine := style.get("arms", {}).get("adapter"):
        found["does_not_recite"] = {
            "asked": f"without passages, at most {rules.max_copied:.0%} of its runs of five words stand in a document",
            "found": f"{mine['copied']:.0%}, at most {mine['longest_copied']} words in a row",
            "passed": mine["copied"] <= rules.max_copied,
        }
    return found


def _shadow_rules(shadow: Mapping[str, Any], margin: float) -> dict[str, dict[str, Any]]:
    """Rules about readers' questions. It counts where it is certain: where the whole interval lies beyond what is
    allowed, over conversations enough for an interval to hold."""
    found: dict[str, dict[str, Any]] = {}
    for measure, mine in shadow.get("measures", {}).items():
        rises = measure == "silence"
        worst = mine["low"] if rises else -mine["high"]
        counted = mine["conversations"] >= FEWEST_CONVERSATIONS
        told = f"{mine['difference']:+.2f}, from {mine['low']:+.2f} to {mine['high']:+.2f} over " + (
            f"{mine['questions']} questions of {mine['conversations']} conversations"
        )
        found[f"shadow_{measure}"] = {
            "asked": f"{measure} on readers' questions not certainly more than {margin:.2f} "
            f"{'above' if rises else 'below'} {shadow['champion']}",
            "found": told if counted else f"not counted: {told}, and {FEWEST_CONVERSATIONS} are needed",
            "passed": not counted or worst <= margin,
            "counted": counted,
        }
    return found


def _blind_rule(found: Comparison, margin: float) -> dict[str, Any]:
    """The rule about readers; it does not count before there are answers enough on both versions."""
    by = f", by over {100 * margin:.0f} points" if margin else ""
    rule = {"asked": f"readers do not certainly find the author more often beside it than beside what speaks now{by}"}
    if found.champion is None:
        return {**rule, "found": "not counted: no other version speaks", "passed": True, "counted": False}
    if not found.counts:
        few = f"{found.mine.answers} answers beside it and {found.theirs.answers} beside {found.champion}"
        said = f"not counted: {few}, and {FEWEST} beside each are needed"
        return {**rule, "found": said, "passed": True, "counted": False}
    said = f"beside it {_told(found.mine)}, beside {found.champion} {_told(found.theirs)}"
    return {**rule, "found": said, "passed": not found.is_told_more_readily(margin), "counted": True}


def _told(standing: Standing) -> str:
    return f"in {standing.share:.0%} of {standing.answers} answers (from {standing.low:.0%} to {standing.high:.0%})"
