"""Which weights a folder holds and how it is asked, so that an adapter is never put over another base than its own."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from twin_resources.errors import TwinError

RECORD = "training.json"
"""The file beside an adapter's weights that says what it is of and from."""
_WEIGHTS, _TEMPLATE = "base fingerprint", "base template"
_BLOCKS = 64
_BLOCK = 1 << 16


class AnotherBase(TwinError):
    """An adapter was trained over other weights than those it is to be put over, or asked by another template."""


def fingerprint(folder: Path) -> str:
    """24 hexadecimal digits of a model's weights and shape.

    Of each file of weights its size, its head and 64 blocks spread over it are read, 4 MB however large the model is.
    """
    files = sorted([*folder.glob("*.safetensors"), folder / "config.json"])
    stamps = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.exists())
    return _fingerprint(stamps)


@functools.lru_cache(maxsize=16)
def _fingerprint(stamps: tuple[tuple[str, int, int], ...]) -> str:
    found = hashlib.blake2b(digest_size=12)
    for name, size, _ in stamps:
        path = Path(name)
        found.update(path.name.encode())
        if path.suffix == ".json":
            found.update(_shape(path))
            continue
        found.update(size.to_bytes(8))
        with path.open("rb") as file:
            for number in range(_BLOCKS + 1):
                file.seek(number * max(0, size - _BLOCK) // _BLOCKS)
                found.update(file.read(_BLOCK))
    return found.hexdigest()


def _shape(path: Path) -> bytes:
    """A configuration without what only says who wrote it."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: settings[name] for name in sorted(settings) if name not in ("_name_or_path", "transformers_version")}
    return json.dumps(kept).encode()


def template(folder: Path) -> str:
    """12 hexadecimal digits of the chat template that a model's folder brings; ``none`` where it brings none."""
    apart, settings = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    found: object = None
    if apart.exists():
        found = apart.read_text(encoding="utf-8")
    elif settings.exists():
        found = json.loads(settings.read_text(encoding="utf-8")).get("chat_template")
    return hashlib.blake2b(json.dumps(found).encode(), digest_size=6).hexdigest() if found else "none"


def check_base(adapter: Path, base: Path) -> None:
    """Make sure that an adapter was trained over the weights in ``base``, and asked by the chat template there; what an
    adapter does not say is let through.

    Raises:
        AnotherBase: it was trained over others, or by another template.
    """
    try:
        facts = json.loads((adapter / RECORD).read_text(encoding="utf-8"))["facts"]
    except (OSError, ValueError, KeyError):
        return
    if (wanted := facts.get(_WEIGHTS)) not in (None, found := fingerprint(base)):
        raise AnotherBase(
            f"it was trained over the base {wanted}, and {base} holds {found}",
            "name the base that it was trained over in twin.yaml, or train again",
        )
    if (wanted := facts.get(_TEMPLATE)) not in (None, found := template(base)):
        raise AnotherBase(
            f"it was trained with the chat template {wanted}, and {base} brings {found}",
            "put back the base's chat_template.jinja or tokenizer_config.json, or train again",
        )
