"""What a section of ``twin.yaml`` is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Settings under one name; knows no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def is_section(kind: Any) -> bool:
    """Whether a type is that of a section."""
    return isinstance(kind, type) and issubclass(kind, Section)
