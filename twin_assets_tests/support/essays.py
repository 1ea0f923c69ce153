"""A small author for runs of the whole graph: invented essays that share a manner but no sentence."""

from __future__ import annotations

import random
from pathlib import Path

_NOUNS = [
    "anchor",
    "ballast",
    "beacon",
    "bilge",
    "bollard",
    "bosun",
    "buoy",
    "capstan",
    "cleat",
    "compass",
    "cutter",
    "davit",
    "dinghy",
    "dock",
    "ferry",
    "fender",
    "gangway",
    "gauge",
    "halyard",
    "harbour",
    "hawser",
    "hull",
    "jetty",
    "keel",
    "lantern",
    "locker",
    "mast",
    "mooring",
    "oar",
    "pier",
    "pilot",
    "pontoon",
    "quay",
    "rope",
    "rudder",
    "sail",
    "shackle",
    "slipway",
    "splice",
    "tide",
    "tiller",
    "toolbox",
    "trawler",
    "varnish",
    "wharf",
    "winch",
]
_VERBS = [
    "checked",
    "counted",
    "cursed",
    "drew",
    "fixed",
    "forgot",
    "kept",
    "lent",
    "lost",
    "measured",
    "mended",
    "moved",
    "noted",
    "painted",
    "paid",
    "sold",
    "weighed",
]
_WHEN = [
    "at dawn",
    "before lunch",
    "in the rain",
    "last winter",
    "on a Tuesday",
    "twice a year",
    "without asking",
    "with cold hands",
]


def sentence(dice: random.Random) -> str:
    """One short sentence of the manner."""
    one, two = dice.sample(_NOUNS, 2)
    did, when, times = dice.choice(_VERBS), dice.choice(_WHEN), dice.randint(3, 99)
    return f"I {did} the {one} {when}, and the {two} {dice.choice(_VERBS)} itself {times} times."


def essay(number: int, sections: int = 3) -> str:
    """One essay of some headed sections in Markdown."""
    dice = random.Random(number)
    parts = [f"# Essay {number} on the {dice.choice(_NOUNS)}\n"]
    for _ in range(sections):
        first, second = dice.sample(_NOUNS, 2)
        parts.append(f"## Why the {first} needs a {second}\n")
        parts += [" ".join(sentence(dice) for _ in range(4)) + "\n" for _ in range(2)]
    return "\n".join(parts)


def write(folder: Path, count: int, sections: int = 3) -> None:
    """``count`` essays as Markdown files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"essay-{number:02}.md").write_text(essay(number, sections), encoding="utf-8")
