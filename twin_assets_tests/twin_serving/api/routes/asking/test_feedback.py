"""Rating answers."""

from __future__ import annotations

import httpx

from twin_assets_tests.support.site import ask


def test_feedback_is_kept_and_needs_a_known_trace(client: httpx.Client) -> None:
    trace = ask(client)["trace_id"]
    sent = client.post("/feedback", json={"trace_id": trace, "rating": "down", "correction": "Every ten minutes."})
    assert (sent.status_code, sent.json()) == (202, {"trace_id": trace, "accepted": True})
    unknown = client.post("/feedback", json={"trace_id": "0" * 32, "rating": "up"})
    assert unknown.status_code == 404
    assert client.post("/feedback", json={"trace_id": trace, "rating": "meh"}).status_code == 422
