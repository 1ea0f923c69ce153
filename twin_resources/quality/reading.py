"""Reading anybody's dataset: Alpaca, ShareGPT, chat messages, preference pairs, the Handbook's artifacts, our Parquet.

JSON Lines and Parquet are read a record at a time. What a record means is told by its fields, never by its file's name;
which split it is in, by the name of its file, its folder or the key it stands under.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twin_resources.errors import TwinError
from twin_resources.quality.samples import Sample

SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")
INSTRUCTIONS = ("instruction", "prompt", "question", "query", "user", "input")
ANSWERS = ("output", "answer", "response", "completion", "chosen", "target", "assistant", "answers")
TURNS = ("conversations", "conversation", "messages", "dialog", "turns")
_CONTEXTS = ("passages", "contexts", "context", "documents")
_ORIGINS = ("url", "link", "source_url", "source", "document_id", "source_id", "document", "title", "article", "file")
_LISTS = ("samples", "data", "rows", "examples", "records", "items", "instances")
_ASKING, _ANSWERING = (
    frozenset({"human", "user", "prompter"}),
    frozenset({"gpt", "assistant", "chatgpt", "bot", "model"}),
)
_SPLITS = (
    ("validation", re.compile(r"(?<![a-z])(?:val|valid|validation|dev|development)(?![a-z])", re.I)),
    ("test", re.compile(r"(?<![a-z])(?:test|testing|eval|evaluation|held[-_ ]?out|holdout)(?![a-z])", re.I)),
    ("train", re.compile(r"(?<![a-z])(?:train|training)(?![a-z])", re.I)),
)
_EXPECTED = (
    "each record needs an instruction and an answer (`instruction`/`input`/`output`, `prompt`/`completion`, "
    "`prompt`/`chosen`/`rejected`), or `conversations`/`messages`"
)


class DatasetUnreadable(TwinError):
    """A file is no dataset: says which, why, and what to do."""


@dataclass(frozen=True)
class _Record:
    """A record as it stands in a file: where, in which split and category, and its fields."""

    where: str
    split: str
    category: str
    fields: Mapping[str, Any]


def split_of(name: str) -> str | None:
    """The split that a name says; None where it says none."""
    return next((split for split, pattern in _SPLITS if pattern.search(name)), None)


def samples(files: Iterable[Path]) -> Iterator[Sample]:
    """The samples of files and folders in their order, numbered over all of them.

    Raises:
        DatasetUnreadable: a file is missing, is no dataset, or holds a record that is no sample.
    """
    index = 0
    for path in files:
        for file in _files(path):
            empty = True
            for record in _records(file):
                yield replace(_sample(record), index=index)
                index, empty = index + 1, False
            if empty:
                raise DatasetUnreadable(f"{file}: no records in it", "give a file with at least one sample")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
        if not found:
            raise DatasetUnreadable(f"{path}: no {', '.join(SUFFIXES)} in this folder", "name the files of the dataset")
        return found
    if not path.exists():
        raise DatasetUnreadable(f"{path}: there is no such file", "check the path")
    if path.suffix.lower() not in SUFFIXES:
        raise DatasetUnreadable(
            f"{path}: {path.suffix or 'a file without a suffix'} is not read", f"convert it to {' or '.join(SUFFIXES)}"
        )
    return [path]


def _records(path: Path) -> Iterator[_Record]:
    split = split_of(path.stem) or split_of(path.parent.name) or "train"
    try:
        if path.suffix.lower() == ".parquet":
            yield from _parquet(path, split)
        elif path.suffix.lower() == ".json":
            yield from _json(path, split)
        else:
            yield from _lines(path, split)
    except UnicodeDecodeError as problem:
        raise DatasetUnreadable(f"{path}: not UTF-8 at byte {problem.start}", "save it as UTF-8") from problem
    except OSError as problem:
        raise DatasetUnreadable(f"{path}: {problem.strerror or problem}", "check that it can be read") from problem


def _parquet(path: Path, split: str) -> Iterator[_Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield _Record(f"{path} row {number}", split, "", row)
    except pa.ArrowException as problem:
        reason = str(problem).splitlines()[0]
        raise DatasetUnreadable(f"{path}: not a Parquet file ({reason})", "write it again") from problem


def _lines(path: Path, split: str) -> Iterator[_Record]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError) as problem:
                raise DatasetUnreadable(
                    f"{path} line {number}: not JSON ({problem})", "every line has to be one JSON object"
                ) from problem
            if not isinstance(fields, dict):
                kind = type(fields).__name__
                raise DatasetUnreadable(f"{path} line {number}: a {kind}, not an object", _EXPECTED)
            yield _Record(f"{path} line {number}", split, "", fields)


def _json(path: Path, split: str) -> Iterator[_Record]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        value = json.loads(text)
    except RecursionError as problem:
        raise DatasetUnreadable(f"{path}: nested too deeply", _EXPECTED) from problem
    except ValueError as problem:
        first = text.lstrip().split("\n", 1)[0]
        try:
            is_lines = isinstance(json.loads(first), dict)
        except (ValueError, RecursionError):
            is_lines = False
        if not is_lines:
            raise DatasetUnreadable(f"{path}: not JSON ({problem})", "write the dataset again as JSON") from problem
        yield from _lines(path, split)
        return
    found = list(_inside(path, value, split, ""))
    if not found and value:
        raise DatasetUnreadable(f"{path}: no list of samples in it", _EXPECTED)
    yield from found


def _inside(path: Path, value: Any, split: str, category: str) -> Iterator[_Record]:
    """Records of a JSON value: a list of them, columns, or objects that hold such by split or category."""
    if isinstance(value, list):
        for number, fields in enumerate(value, start=1):
            where = f"{path} {split} record {number}"
            if not isinstance(fields, dict):
                raise DatasetUnreadable(f"{where}: a {type(fields).__name__}, not an object", _EXPECTED)
            yield _Record(where, split, category, fields)
        return
    if not isinstance(value, dict):
        return
    if _columns(value):
        names = list(value)
        for number, row in enumerate(zip(*value.values(), strict=True), start=1):
            yield _Record(f"{path} {split} record {number}", split, category, dict(zip(names, row, strict=True)))
        return
    if any(isinstance(value.get(name), str) for name in (*INSTRUCTIONS, *ANSWERS)) or any(
        name in value for name in TURNS
    ):
        yield _Record(f"{path} {split} record 1", split, category, value)
        return
    named = value.get("category")
    category = named if isinstance(named, str) else category
    for key, inner in value.items():
        if isinstance(inner, dict) or (
            isinstance(inner, list) and inner and (split_of(key) or key.casefold() in _LISTS)
        ):
            yield from _inside(path, inner, split_of(key) or split, category)


def _columns(value: Mapping[str, Any]) -> bool:
    lists = [each for each in value.values() if isinstance(each, list)]
    named = any(name in value for name in INSTRUCTIONS) and any(name in value for name in ANSWERS)
    return named and len(lists) == len(value) and len({len(each) for each in lists}) == 1


def _sample(record: _Record) -> Sample:
    fields = {str(key).casefold(): value for key, value in record.fields.items()}
    split = split_of(fields["split"]) if isinstance(fields.get("split"), str) else None
    turns = next((fields[name] for name in TURNS if isinstance(fields.get(name), list)), None)
    made = _of_fields(record, fields) if turns is None else _of_turns(record, turns)
    origins = (value for name in _ORIGINS if isinstance(value := fields.get(name), str) and value.strip())
    published = fields.get("published_at", fields.get("date", fields.get("published", "")))
    return replace(
        made,
        split=split or record.split,
        origins=tuple(dict.fromkeys(origins)),
        category=_text(fields.get("category")) or record.category,
        platform=_text(fields.get("platform")),
        published=_text(str(published)) if published else "",
        silent=fields.get("kind") == "silence",
        paraphrase=fields.get("augmented") == "paraphrase" or bool(fields.get("paraphrase_of")),
        beside="\n".join(part for part in (made.beside, _text(fields.get("system"))) if part),
    )


def _of_turns(record: _Record, turns: Sequence[Any]) -> Sample:
    """One sample of a conversation: all that is asked, and all that is answered."""
    asked, answered, beside = _parts(record, turns)
    if not asked and not answered:
        raise DatasetUnreadable(f"{record.where}: its conversation has no turns", _EXPECTED)
    return Sample(0, "\n\n".join(asked), "\n\n".join(answered), beside="\n".join(beside))


def _parts(record: _Record, turns: Sequence[Any]) -> tuple[list[str], list[str], list[str]]:
    """What is asked, what is answered, and what else is said in turns of a conversation."""
    asked, answered, beside = [], [], []
    for turn in turns:
        if not isinstance(turn, Mapping):
            raise DatasetUnreadable(f"{record.where}: a turn is a {type(turn).__name__}, not an object", _EXPECTED)
        role = str(turn.get("from", turn.get("role", ""))).casefold()
        text = _text(turn.get("value", turn.get("content", turn.get("text"))))
        (asked if role in _ASKING else answered if role in _ANSWERING else beside).append(text)
    return asked, answered, beside


def _of_fields(record: _Record, fields: Mapping[str, Any]) -> Sample:
    asking = next((name for name in INSTRUCTIONS if name in fields), None)
    answering = next((name for name in ANSWERS if name in fields), None)
    if answering is None or (asking is None and answering != "chosen"):
        shown = ", ".join(list(record.fields)[:8]) or "none"
        raise DatasetUnreadable(f"{record.where}: no instruction and answer among its fields ({shown})", _EXPECTED)
    instruction, beside = "", ""
    if asking is not None:
        instruction = _spoken(record, fields[asking], answers=False)
    answer = fields[answering]
    if asking is None and isinstance(answer, list):
        asked, _, others = _parts(record, answer)
        instruction, beside = "\n\n".join(asked), "\n".join(others)
    context = [text for name in _CONTEXTS for text in _texts(fields.get(name))]
    if asking != "input" and (given := _text(fields.get("input"))).strip():
        context.append(given)
    rejected = fields.get("rejected")
    return Sample(
        0,
        instruction,
        _spoken(record, answer, answers=True),
        context=tuple(context),
        rejected=None if rejected is None else _spoken(record, rejected, answers=True),
        cited=_cited(fields),
        beside=beside,
    )


def _spoken(record: _Record, value: Any, *, answers: bool) -> str:
    """The text of a field that may hold turns of a conversation: the last answer of them, or all that is asked."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        asked, answered, _ = _parts(record, value)
        return (answered[-1] if answered else "") if answers else "\n\n".join(asked)
    if isinstance(value, list):
        return _text(value[0]) if value else ""
    return _text(value)


def _cited(fields: Mapping[str, Any]) -> int | None:
    """Which of our own passages answers, counted from 1."""
    passages, chunks = fields.get("passages"), fields.get("chunk_ids")
    if not isinstance(passages, list) or not isinstance(chunks, list) or not chunks:
        return None
    ids = [each.get("chunk_id") for each in passages if isinstance(each, Mapping)]
    return ids.index(chunks[0]) + 1 if chunks[0] in ids else None


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if isinstance(value, Mapping):
        return [text for name in ("text", "content", "passage") if (text := _text(value.get(name))).strip()][:1]
    return [value] if isinstance(value, str) and value.strip() else []


def _text(value: Any) -> str:
    """The text of a value; parts of a message are joined."""
    if isinstance(value, list):
        return "\n".join(_text(each) for each in value)
    if isinstance(value, Mapping):
        return _text(value.get("text", value.get("value", value.get("content", ""))))
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)
