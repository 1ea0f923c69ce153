"""The page of releases in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from twin_assets_tests.support.site import Api, add_adapter, running, without_engine
from twin_assets_tests.support.tiny_models import TinyModels
from twin_assets_tests.twin_serving.api.page.conftest import looks_right_everywhere
from twin_resources import report
from twin_resources.config.settings import Settings
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.calls.interactions import Interactions
from twin_resources.storage.calls.shadows import Shadow, Shadows
from twin_resources.storage.releases import Releases
from twin_resources.storage.reports import Reports

pytestmark = pytest.mark.browser

SHOWN = [
    {
        "instruction": f"Write about the gauge, part {number}.",
        "author": "The gauge writes every ten minutes. <script>window.broken = 1</script>",
        "base": "A gauge is a thing that measures things, and things are measured by it.",
        "twin": "Every ten minutes the gauge at Skarvik writes a line, whoever is looking.",
        "twin + passages": "The gauge at Skarvik writes a reading every ten minutes.",
    }
    for number in range(4)
]
GENERATION = {
    "samples": 40, "available": 130, "documents": 12, "gain": 0.182, "gain_interval": [0.121, 0.243],
    "loss": {"base": 3.21, "ada-new": 2.63}, "perplexity": {"base": 24.8, "ada-new": 13.9}, "shown": SHOWN,
    "by_document": [{"document_id": "d", "title": "On <b>weirs</b>", "url": "https://ada.example/d", "answers": 2,
                     "published": "2024-05-06", "tokens": 90, "loss": {"base": 4.56, "ada-new": 4.32}}],
    "forgetting": {"items": 40, "bits_per_byte": {"base": {"all": 0.7}, "ada-new": {"all": 0.74}}, "rise": 0.06,
                   "interval": [0.034, 0.086]},
    "following": {"instructions": 24, "models": {"base": 9, "ada-new": 7}, "difference": -0.083,
                  "interval": [-0.23, 0.07]},
}  # fmt: skip
STYLE = {
    "measured": True, "shown": [],
    "arms": {
        "author": {"score": 0.98, "low": 0.9, "high": 1.06, "copied": 0.0},
        "base": {"score": 0.21, "low": 0.1, "high": 0.33, "copied": 0.0},
        "adapter": {"score": 0.71, "low": 0.55, "high": 0.86, "copied": 0.02},
    },
}  # fmt: skip
ANSWERS = {
    "because": "of 60 sentences 48 are supported, which is too few to answer by itself",
    "arms": {"adapter": {"sentences": 60, "supported": 48, "support": {"share": 0.8, "low": 0.69, "high": 0.88}}},
}
ASKED = {
    "candidate": "ada-new", "champion": "ada-old", "questions": 12, "unheard": "too little to know a style by",
    "measures": {"support": {"candidate": 0.72, "champion": 0.61, "questions": 12, "conversations": 9,
                             "difference": 0.11, "low": 0.02, "high": 0.21}},
}  # fmt: skip
JUDGE = {
    "answered": True, "because": "", "host": "127.0.0.1", "people": {"votes": 30, "agreed": 21},
    "against": {"champion": {"pairs": 6, "wins": 4, "losses": 1, "ties": 1, "nonsense": 0, "low": 0.28, "high": 0.99}},
}  # fmt: skip
GATE = {
    "passed": True,
    "failed": [],
    "rules": {
        "better_than_base": {
            "asked": "held-out loss 1.0% below the base",
            "found": "18.2% below",
            "passed": True,
        },
        "does_not_recite": {"asked": "at most 20% stand in a document", "found": "2%, at most 6 words", "passed": True},
    },
}


@pytest.fixture
def site(new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine], tmp_path: Path) -> Iterator[Api]:
    """An application without an engine, and three versions: one speaks, one is new with its reports, one failed."""
    settings = new_settings()
    database = seed(settings)
    weights = tmp_path / "weights"
    weights.mkdir()
    for version, passed in (("ada-failed", False), ("ada-old", True), ("ada-new", True)):
        (weights / "adapter.txt").write_text(version)
        add_adapter(settings, database, version, weights, passed=passed)
    Releases(database).approve("ada-old", by="Ada", comment="the first that reads like me")
    Releases(database).propose("ada", "ada-new")
    pages = tmp_path / "pages"
    pages.mkdir()
    report.bars({"held-out": GENERATION["perplexity"]}, pages / "perplexity.png", "perplexity")
    address = ArtifactStore.of(settings).put("reports/generation", pages)
    reports = Reports(database)
    for kind, figures in (("generation", GENERATION), ("style", STYLE), ("answers", ANSWERS), ("gate", GATE)):
        reports.add(f"{kind}-new", "ada", kind, "ada-new", figures, address if kind == "generation" else "reports/none")
    reports.add("judge-new", "ada", "judge", "ada-new", JUDGE, "")
    reports.add("shadow-new", "ada", "shadow", "ada-new", ASKED, "reports/none")
    calls = Interactions(database)
    calls.record("asked", author="ada", call="ask", query="Why every ten minutes?", answer="So.")
    answers = Shadow("asked", "?", "Because the sea is slow.", "ada-old", "Because <b>he</b> says so.")
    Shadows(database).keep("ada", "ada-new", [answers])
    with without_engine(settings, database, "/releases") as api:
        yield api


@pytest.fixture
def page(site: Api, open_page: Callable[[Api, str], Page]) -> Page:
    opened = open_page(site, "/releases")
    expect(opened.locator(".version").first).to_be_visible(timeout=20_000)
    return opened


def version(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).first.click()
    expect(page.locator("#report-title")).to_have_text(name)


def test_a_candidate_is_read_approved_and_taken_back(page: Page, site: Api) -> None:
    versions = page.locator(".version")
    expect(versions).to_have_count(3)
    expect(versions.filter(has_text="ada-new")).to_contain_text("waits for a decision")
    expect(versions.filter(has_text="ada-failed")).to_contain_text("held back by the gate")
    expect(page.locator("#champion")).to_contain_text("the first that reads like me")
    version(page, "ada-new")
    body = page.locator("#report-body")
    expect(body).to_contain_text(
        "On 40 of 130 answers of 12 documents that no training saw, its loss is 18% lower than the base model's"
    )
    expect(body).to_contain_text("It predicts the author's unseen text better than the base model")
    expect(body.locator("tr", has_text="This version").first).to_contain_text("0.71")
    expect(body.locator("section.author").first).to_contain_text("<script>")
    expect(body.locator(".side").first.locator("h4").first).to_have_text("The author")
    assert page.evaluate("window.broken") is None
    body.get_by_text("The texts that it predicts worst").click()
    expect(body.locator("tr", has_text="On <b>weirs</b>")).to_have_text("On <b>weirs</b>2024-05-064.324.56")
    forgot = body.locator("tr", has_text="Bits a byte of 40 general questions and texts")
    expect(forgot).to_contain_text("0.740.70+6.0% (+3.4% to +8.6%)")
    followed = body.locator("tr", has_text="Instructions followed, of 24")
    expect(followed).to_contain_text("79-8.3% (-23% to +7.0%)")
    expect(body).to_contain_text("by 127.0.0.1. Readers agree with it in 21 of 30 answers")
    expect(body.get_by_role("region", name="Verdicts")).to_contain_text("The version that speaks4110")
    expect(body).not_to_contain_text("On canary")
    expect(body).to_contain_text("12 questions that a model answered were put to it and to ada-old again")
    expect(body.locator("tr", has_text="Share of sentences with support")).to_contain_text("0.11 (0.02 to 0.21)")
    shown = body.locator(".asks", has_text="Why every ten minutes?").locator("+ .side")
    expect(shown).to_contain_text("Because the sea is slow.")
    expect(shown).to_contain_text("Because <b>he</b> says so.")
    body.get_by_text("Plot: perplexity").click()
    plot = body.locator("img.plot")
    expect(plot).to_be_visible()
    assert plot.evaluate("node => node.complete && node.naturalWidth > 100")
    looks_right_everywhere(page, "releases")
    page.get_by_role("button", name="Approve").click()
    dialog = page.get_by_role("dialog", name="Let ada-new speak?")
    dialog.get_by_label("Why (optional)").fill("better endings")
    dialog.get_by_role("button", name="Approve").click()
    expect(page.locator("#done")).to_have_text("ada-new was approved and takes over.")
    expect(page.locator("#champion")).to_contain_text("ada-new takes over")
    assert Releases(site.database).history("ada")[0].comment == "better endings"
    page.get_by_role("button", name="Go back to ada-old").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back").click()
    expect(page.locator("#done")).to_have_text("ada-old speaks again.")
    expect(page.locator("#champion")).to_contain_text("ada-old takes over")


def test_a_version_is_rejected_with_a_reason_by_keyboard(page: Page, site: Api) -> None:
    page.get_by_role("button", name="ada-new").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#report")).to_be_focused()
    page.get_by_role("button", name="Reject…").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Reject ada-new?")
    expect(dialog.get_by_label("Why")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    assert Releases(site.database).decisions(["ada-new"]) == {}, "without a reason nothing is decided"
    dialog.get_by_label("Why").fill("answers in lists")
    looks_right_everywhere(page, "releases-dialog")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#done")).to_have_text("ada-new was rejected.")
    expect(page.locator(".version", has_text="ada-new")).to_contain_text("rejected")
    expect(page.locator("#standing")).to_contain_text("answers in lists")
    assert Releases(site.database).decisions(["ada-new"])["ada-new"].action == "reject"


def test_what_may_not_be_decided_is_not_offered_and_a_refusal_is_told(
    page: Page, site: Api, problems: list[str]
) -> None:
    version(page, "ada-failed")
    expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    expect(page.locator("#standing")).to_contain_text("It was not measured yet")
    version(page, "ada-old")
    expect(page.get_by_role("button", name="Reject…")).to_be_disabled()
    version(page, "ada-new")
    page.get_by_role("button", name="Reject…").click()
    Releases(site.database).approve("ada-new", by="somebody else")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("too late")
    with page.expect_response("**/reject") as refused:
        dialog.get_by_role("button", name="Reject", exact=True).click()
    assert refused.value.status == 409
    expect(dialog.get_by_role("alert")).to_contain_text("ada-new serves")
    dialog.get_by_role("button", name="Leave it").click()
    expect(dialog).to_be_hidden()
    assert len(problems) == 1
    assert "409" in problems.pop()


def test_a_canary_that_cannot_be_loaded_is_told_in_words(
    new_settings: Callable[..., Settings],
    seed: Callable[[Settings], sa.Engine],
    tiny: TinyModels,
    open_page: Callable[[Api, str], Page],
) -> None:
    settings = new_settings(models={"base": str(tiny.base), "reranker": None})
    database = seed(settings)
    for name, folder in (("first", tiny.first), ("broken", tiny.base)):
        add_adapter(settings, database, f"ada-{name}", folder)
    Releases(database).approve("ada-first", by="Ada")
    Releases(database).start_canary("ada-broken", 0.2, by="Ada")
    with running(settings, database) as site, site.client() as client:

        def unserved() -> list[str]:
            return [each for each in client.get("/readyz").json()["warnings"] if "the canary of ada" in each]

        [told] = site.answers(unserved)
        assert "ada-broken does not answer" in told
        assert "ada-broken does not answer" in client.get("/readyz").json()["champions"]["ada"]["canary_problem"]
        page = open_page(site, "/releases")
        expect(page.locator("#canary")).to_contain_text("is to answer 20% of the conversations beside it, and cannot")
        expect(page.locator("#canary-problem")).to_contain_text("It gets no conversation: ada-broken does not answer")
        expect(page.locator(".version", has_text="ada-broken")).to_contain_text("on canary, and does not answer")
        version(page, "ada-broken")
        expect(page.locator("#standing")).to_contain_text("Reject it, or put it right.")
        looks_right_everywhere(page, "releases-canary-problem")
        page.get_by_role("button", name="Reject…").click()
        page.get_by_role("dialog").get_by_label("Why").fill("it does not load")
        page.get_by_role("dialog").get_by_role("button", name="Reject", exact=True).click()
        expect(page.locator("#canary-problem")).to_be_hidden()
        site.answers(lambda: not unserved())
    database.dispose()


def test_a_version_is_tried_on_a_share_and_its_figures_are_read_until_it_is_rejected(page: Page, site: Api) -> None:
    version(page, "ada-old")
    expect(page.get_by_role("button", name="Try on a share…")).to_be_disabled()
    version(page, "ada-new")
    expect(page.locator("#canary")).to_be_hidden()
    page.get_by_role("button", name="Try on a share…").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Try ada-new on a share?")
    expect(dialog).to_contain_text("an adapter without a licence writes nothing into answers")
    share = dialog.get_by_label("Percent of the conversations")
    expect(share).to_be_focused()
    expect(share).to_have_value("10")
    looks_right_everywhere(page, "releases-canary-dialog")
    share.fill("100")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    assert Releases(site.database).canary("ada") is None, "a share is less than all"
    share.fill("25")
    page.keyboard.press("Enter")
    expect(page.locator("#done")).to_have_text("ada-new answers 25% of the conversations from now on.")
    running = Releases(site.database).canary("ada")
    assert running
    assert running.share == 0.25
    calls = Interactions(site.database)
    for number in range(120):
        draw = running.draw(f"conversation {number}")
        calls.record(f"trace-{number}", author="ada", call="ask", query="Why?", draw=draw,
                     error="boom" if draw < 0.25 else None)  # fmt: skip
    expect(page.locator("#canary")).to_contain_text("ada-new is to answer 25% of the conversations")
    expect(page.locator(".version", has_text="ada-new")).to_contain_text("on canary, 25%")
    version(page, "ada-new")
    body = page.locator("#report-body")
    expect(body).to_contain_text("Readers certainly fare worse on it: a call failed in")
    expect(body).to_contain_text("It holds no licence to answer by itself")
    on_canary = sum(running.draw(f"conversation {number}") < 0.25 for number in range(120))
    row = body.locator("tr", has_text="A call failed").locator("td")
    expect(row.nth(1)).to_have_text(str(on_canary))
    expect(row.nth(2)).to_have_text("0")
    expect(body.locator(".history")).to_contain_text("put on canary, 25% of the conversations, by releases page")
    looks_right_everywhere(page, "releases-canary")
    page.get_by_role("button", name="Reject…").click()
    page.get_by_role("dialog").get_by_label("Why").fill("it fails")
    page.get_by_role("dialog").get_by_role("button", name="Reject", exact=True).click()
    expect(page.locator("#done")).to_have_text("ada-new was rejected.")
    expect(page.locator("#canary")).to_be_hidden()
    assert Releases(site.database).canary("ada") is None
