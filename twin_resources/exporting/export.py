"""Writing a dataset version into a folder for other programs, and pushing that folder to a hub."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from twin_resources.errors import TwinError
from twin_resources.exporting.formats import FORMATS
from twin_resources.exporting.rows import FILES, safe, stored
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import DatasetVersion

HF = "hf"
NAMES = (*FORMATS, HF)


class ExportError(TwinError):
    """A version cannot be written in this form or to this place; the message says what to do instead."""


@dataclass(frozen=True)
class Exported:
    """The files that were written, with how many rows each has."""

    folder: Path
    rows: dict[str, int]


def export(version: DatasetVersion, artifacts: ArtifactStore, form: str, folder: Path, *, author: str) -> Exported:
    """Write a version: one JSONL file a split, or with ``hf`` the Parquet files and a card that the Hugging Face
    library ``datasets`` opens as they are. What a model could read as a control token is spelled out in all of them.

    Args:
        author: the author's name, for the turns of a chat.

    Raises:
        ExportError: no such form, not for this kind of dataset, or the folder holds something.
        ArtifactError: the files of the version are gone.
    """
    if form not in NAMES:
        raise ExportError(f"no format {form!r}; formats are {', '.join(NAMES)}")
    wanted = FORMATS[form][0] if form in FORMATS else version.kind
    if wanted != version.kind:
        fitting = ", ".join([name for name, (kind, _) in FORMATS.items() if kind == version.kind] + [HF])
        raise ExportError(f"{form} is for {wanted} datasets, and {version.id} is {version.kind}; use {fitting}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} is not empty; name a folder that does not exist yet")
    source = artifacts.folder(version.artifact)
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, int] = {}
    for split, found in stored(source, version.kind):
        texts = safe(found)
        if form == HF:
            name = FILES[version.kind][split]
            if texts != found:
                pq.write_table(pa.Table.from_pylist(texts, pq.read_schema(source / name)), folder / name)
            elif found:
                shutil.copyfile(source / name, folder / name)
        else:
            name = f"{split}.jsonl"
            convert = FORMATS[form][1]
            lines = (json.dumps(convert(row, author), ensure_ascii=False) for row in texts)
            (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        rows[name] = len(found)
    _describe(version, source, folder, rows, form)
    return Exported(folder, rows)


def _describe(version: DatasetVersion, source: Path, folder: Path, rows: dict[str, int], form: str) -> None:
    """The card with its plots, and the manifest."""
    for name in ("manifest.json", "plots"):
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name)
        elif (source / name).exists():
            shutil.copyfile(source / name, folder / name)
    card = (source / "README.md").read_text(encoding="utf-8")
    if card.startswith("---\n"):
        head, _, text = card.removeprefix("---\n").partition("---\n")
        if form == HF:
            (folder / "README.md").write_text(card, encoding="utf-8")
            return
        kept = [line for line in head.split("configs:")[0].splitlines() if line]
    else:  # made before cards had a header
        kept, text = [f"pretty_name: {version.kind} {version.id}"], card
    files = {split: next((name for name in rows if name in (f"{split}.jsonl", path)), "") for split, path in
             FILES[version.kind].items()}  # fmt: skip
    header = [*kept, "configs:", "- config_name: default", "  data_files:"]
    for split, name in files.items():
        if rows.get(name):
            header += [f"  - split: {split}", f"    path: {name}"]
    (folder / "README.md").write_text("\n".join(["---", *header, "---", "", text.lstrip()]), encoding="utf-8")


def push(folder: Path, repository: str, token: str, *, private: bool = True, endpoint: str | None = None) -> str:
    """Upload a folder as a dataset repository of a hub, and return the address of the commit.

    Args:
        endpoint: the hub; the one that ``HF_ENDPOINT`` names without it, or else that of Hugging Face. No other host is
            asked, unless that one sends large files elsewhere.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint, token=token)
    api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
    done = api.upload_folder(
        folder_path=folder, repo_id=repository, repo_type="dataset", commit_message=f"Add {folder.name}"
    )
    return str(done.commit_url)
