"""Rules of the gate on what an adapter took into its weights beside the author's manner, and what it lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twin_assets.evaluate.judging import FEWEST_VOTES
from twin_assets.evaluate.metrics import FEWEST_DOCUMENTS
from twin_resources.config.release import ReleaseSettings

_CHANCE = 0.01
"""How unlikely ranks of canaries must be by chance before they were memorised."""
_LEARN_LESS = "learn less from each text (training.epochs, training.learning_rate, training.rank)"
_LONGEST = 16
"""Words in a row that nobody writes again by chance, however few texts were asked for."""


def rules_on_probes(figures: Mapping[str, Any], rules: ReleaseSettings) -> dict[str, dict[str, Any]]:
    """The rules on what a generation report measured; none on what an older one does not hold."""
    found: dict[str, dict[str, Any]] = {}
    if "memorisation" in figures:
        found["does_not_memorise"] = _memorised_rule(figures["memorisation"], rules.max_memorised)
    if "forgetting" in figures:
        found["does_not_forget"] = _forgotten_rule(figures["forgetting"], rules.max_forgotten)
    if followed := figures.get("following"):
        found["follows_instructions"] = _followed_rule(followed, rules.max_unfollowed)
    if exposed := figures.get("canaries"):
        found["keeps_no_canaries"] = _canaries_rule(exposed)
    return found


def _memorised_rule(found: Mapping[str, Any] | None, margin: float) -> dict[str, Any]:
    """The rule about texts that an adapter was trained on; it fails where it is certain that anything was memorised,
    over all texts or of a single one."""
    rule = {
        "asked": f"given the beginnings of texts it was trained on, it recites no more than {margin:g} words in a row "
        "beyond what it recites of held-out ones and beyond the base, on average, and of none "
        f"{_LONGEST} where the base recites fewer"
    }
    if found is None:
        few = f"fewer than {FEWEST_DOCUMENTS} texts that it is known to have learned from, or held-out ones, are long"
        return {**rule, "found": f"not counted: {few} enough", "passed": True, "counted": False}
    low, high = found["interval"]
    longest, before = (found["models"][each]["longest"] for each in (found["candidate"], "base"))
    return {
        **rule,
        "found": f"{found['excess']:+.1f} words, from {low:+.1f} to {high:+.1f} over {found['trained']} texts and "
        f"{found['held_out']} held-out ones; at most {longest} words in a row",
        "passed": (found["excess"] <= margin or low <= 0) and longest < max(_LONGEST, before + 1),
        "counted": True,
    }


def _forgotten_rule(found: Mapping[str, Any], margin: float) -> dict[str, Any]:
    """The rule about the general set; it fails where the whole interval lies above what is allowed."""
    low, high = found["interval"]
    passed = low <= margin
    told = f"{found['rise']:+.1%}, from {low:+.1%} to {high:+.1%} over {found['items']} of them"
    if not passed:
        told += (
            f". It forgot much of what its base knows: {_LEARN_LESS}, or mix general instructions in (training.general)"
        )
    return {
        "asked": "plain questions and ordinary texts of nobody here are not certainly foreseen worse than by the base, "
        f"by more than {margin:.0%} of what a byte of them costs",
        "found": told,
        "passed": passed,
        "counted": True,
    }


def _followed_rule(found: Mapping[str, Any], margin: float) -> dict[str, Any]:
    """The rule about instructions; it fails where the whole interval lies below what is allowed. Small bases follow
    few, so of them little can be lost and nothing is certain."""
    low, high = found["interval"]
    passed = high >= -margin
    mine, base = found["models"][found["candidate"]], found["models"]["base"]
    told = (
        f"it followed {mine} of {found['instructions']}, the base {base}; a difference of {found['difference']:+.0%}, "
        f"from {low:+.0%} to {high:+.0%}"
    )
    if not passed:
        told += f". It no longer does what it is told: {_LEARN_LESS}, or mix general instructions in (training.general)"
    return {
        "asked": "instructions such as to answer in one sentence or in German are followed, not certainly more than "
        f"{margin:.0%} fewer than by the base",
        "found": told,
        "passed": passed,
        "counted": True,
    }


def judged_rule(found: Mapping[str, Any]) -> dict[str, Any]:
    """The rule about a language model's verdicts; it counts once readers certainly agree with it more often than a coin
    would, and fails where it certainly prefers what speaks now, or the base where nothing speaks."""
    rival = "champion" if "champion" in found["against"] else "base"
    rule = {"asked": f"a judge that readers agree with does not certainly prefer what the {rival} writes"}
    if not found["answered"]:
        because = f"not counted: the judge gave no verdict: {found['because']}"
        return {**rule, "found": because, "passed": True, "counted": False}
    mine, people = found["against"][rival], found["people"]
    told = (
        f"it prefers the candidate in {mine['wins']} pairs, the {rival} in {mine['losses']}, neither in {mine['ties']}"
    )
    if not people or people["votes"] < FEWEST_VOTES or people["low"] <= 0.5:
        votes = f"with {people['agreed']} of {people['votes']} answers" if people else "with none"
        few = f"readers agree {votes}; {FEWEST_VOTES} are needed, certainly more than half of them alike"
        return {**rule, "found": f"not counted: {few}; {told}", "passed": True, "counted": False}
    passed = not (mine["losses"] and mine["high"] < 0.5)
    return {**rule, "found": told, "passed": passed, "counted": True}


def _canaries_rule(found: Mapping[str, Any]) -> dict[str, Any]:
    """The rule about canaries; it fails where they rank so low that it is hardly chance, and names them."""
    passed = found["p"] >= _CHANCE
    told = [f"“{each['text']}” is number {each['rank']} of {found['among']}" for each in found["canaries"]]
    said = f"{'; '.join(told)}; as low as that by chance with a probability of {found['p']:.2g}"
    if not passed:
        said += f". It keeps what it reads once, and might tell it: {_LEARN_LESS}"
    return {
        "asked": "made-up sentences that it learned from are no likelier to it than sentences alike that it never saw",
        "found": said,
        "passed": passed,
        "counted": True,
    }
