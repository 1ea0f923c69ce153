"""The talking part. Everything that prints is in here, and nothing else is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime

from .curve import METHODS, NoWaterKnown, height_at
from .readings import Table, read_table
from .rounds import Job, Rounds
from .windows import MARGIN, find_windows, next_window, spare

# Three ways to leave: fine, no water known, and a table we can't read.
OK, UNKNOWN, BAD_TABLE = 0, 1, 2


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("tidewatch", description="How much water is there?")
    commands = parser.add_subparsers(dest="command", required=True)

    height = commands.add_parser("height", help="metres above datum at one moment")
    height.add_argument("table")
    height.add_argument("--at", type=datetime.fromisoformat, default=None)
    height.add_argument("--method", choices=sorted(METHODS), default="cosine")

    for name, text in (("windows", "when you may come in"), ("watch", "speak up on changes")):
        command = commands.add_parser(name, help=text)
        command.add_argument("table")
        command.add_argument("--draught", type=float, required=True)
        command.add_argument("--depth", type=float, required=True)
        command.add_argument("--margin", type=float, default=MARGIN)
        if name == "watch":
            command.add_argument("--every", type=float, default=600.0)
            command.add_argument("--rounds", type=int, default=None)
    return parser


def load(path: str) -> Table:
    """Read the table and say what was set aside, loudly, but only once."""
    table = read_table(path)
    for line in table.aside:
        print(f"line {line.line} set aside: {line.reason}", file=sys.stderr)
    return table


def show_height(args: argparse.Namespace) -> int:
    when = args.at or datetime.now()
    metres = height_at(load(args.table).readings, when, args.method)
    print(f"{when:%a %d %b %H:%M} {metres:.2f} m".upper())
    return OK


def show_windows(args: argparse.Namespace) -> int:
    windows = find_windows(load(args.table).readings, args.depth, args.draught, args.margin)
    if not windows:
        print("no window in this table; have tea")
    for window in windows:
        print(window)
    return OK


def watch(args: argparse.Namespace) -> int:
    """Look every so often. Say something when afloat becomes aground."""
    readings = load(args.table).readings
    windows = find_windows(readings, args.depth, args.draught, args.margin)

    def look() -> bool:
        height = height_at(readings, datetime.now())
        return spare(height, args.depth, args.draught, args.margin) >= 0

    def tell(afloat: object) -> None:
        coming = next_window(windows, datetime.now())
        print("AFLOAT" if afloat else "AGROUND", "| window:", coming or "none left", flush=True)

    rounds = Rounds()
    rounds.add(Job("water", args.every, look, tell))
    rounds.run(args.rounds)
    for name, problem in rounds.errors:
        print(f"{name}: {problem}", file=sys.stderr)
    return UNKNOWN if rounds.errors else OK


COMMANDS = {"height": show_height, "windows": show_windows, "watch": watch}


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    try:
        return COMMANDS[args.command](args)
    except NoWaterKnown as problem:
        print(f"I don't know: {problem}", file=sys.stderr)
        return UNKNOWN
    except (OSError, ValueError) as problem:
        print(f"can't use {args.table}: {problem}", file=sys.stderr)
        return BAD_TABLE


if __name__ == "__main__":
    raise SystemExit(main())
