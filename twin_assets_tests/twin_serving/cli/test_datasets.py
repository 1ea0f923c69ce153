"""What changed between two dataset versions."""

from __future__ import annotations

import sqlalchemy as sa

from twin_assets_tests.support.command_line import Twin, add_dataset


def test_a_diff_counts_samples_by_document(ada: Twin, engine: sa.Engine) -> None:
    a, b, c = ("A", "https://x/a"), ("B", "https://x/b"), ("C", "https://x/c")
    add_dataset(engine, "old1", {"s1": a, "s2": a, "s3": b, "s9": ("D", "https://x/d")})
    add_dataset(engine, "new1", {"s1": a, "s4": a, "s5": c, "s9": ("D", "https://x/d")})
    found = ada.json("diff", "old", "new")
    changes = {entry["url"]: (entry["change"], entry["added"], entry["removed"]) for entry in found["documents"]}
    assert changes == {
        "https://x/a": ("changed", 1, 1),
        "https://x/b": ("removed", 0, 1),
        "https://x/c": ("added", 1, 0),
        "https://x/d": ("same", 0, 0),
    }
    assert "1 documents did not change" in ada("diff", "old1", "new1")
    assert "no one dataset version starts with 'zzz'" in ada("diff", "zzz", "new1", code=1)
