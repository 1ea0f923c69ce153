"""What `twin status` shows."""

from __future__ import annotations

from pathlib import Path

from twin_assets_tests.support.command_line import Twin

COLLECTED = """\
authors:
  - id: ada
    name: Ada Berg
    consent: "These accounts are mine. 2026-11-21"
    schedule: "0 6 * * 1"
    sources:
      - {medium: "@ada"}
      - {github: ada}
      - {github: project, url: "https://github.com/ada/project"}
      - {linkedin: me}
      - {linkedin_activity: ada-berg, i_understand: true, browser_state: state.json}
      - {website: "https://ada.example"}
"""


def test_status_shows_each_source_with_its_last_reading(twin: Twin, data: Path) -> None:
    twin.write(COLLECTED)
    twin("import", str(data / "substack"), "--author", "ada")
    rows = {(row["kind"], row["location"]): row for row in twin.json("status")["sources"]}
    assert len(rows) == 7
    assert "there is no folder project" in rows["github", "project"]["failure"], "one wrong source hides no other"
    medium = rows["medium", "@ada"]
    assert (medium["read_at"], medium["failure"]) == (None, None)
    assert medium["next"].endswith("06:00:00+00:00")
    imported = rows["substack_export", str(data / "substack")]
    assert imported["counts"]["new"]
    assert imported["next"] is None
    shown = twin("status")
    assert "never" in shown
    assert "medium @ada" in shown
