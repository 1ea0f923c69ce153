"""A made-up word goes through everything that is kept, and after `twin forget` it is nowhere."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import dagster as dg
import psycopg
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.instance.ref import InstanceRef
from psycopg import sql

from twin_assets import keys
from twin_assets.definitions import defs
from twin_assets.evaluate.generation import page
from twin_assets.evaluate.generation.documents import predicted
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.forgetting.forget import Forgetting
from twin_resources.readers.extraction import FetchedPage
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.storage.calls.blind_tests import Showing
from twin_resources.storage.calls.conversations import Conversations
from twin_resources.storage.calls.interactions import Shown
from twin_resources.storage.calls.shadows import Shadow
from twin_resources.storage.releases import Adapter
from twin_resources.storage.samples.responses import Response
from twin_resources.telemetry.calls import SAMPLE_TEXTS

WORD = "Quibberflax"
TEXT = "The {} turns twice a day, and the ferry waits for neither of the two, because tables are guesses. "


@pytest.fixture
def twin(new_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Twin:
    settings = new_settings()
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump({"authors": [author]}))
    return Twin(config=str(tmp_path / "twin.yaml"))


def materialise(twin: Twin, instance: dg.DagsterInstance, *selection: dg.AssetKey) -> None:
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(selection))
    job.execute_in_process(instance=instance, partition_key="ada", resources={"twin": twin}, raise_on_error=False)


def held(databases: postgres.Databases, home: Path) -> list[str]:
    """Every table and file in which the word stands."""
    found = []
    for url in (databases.twin, databases.dagster, databases.mlflow):
        with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as session:
            tables = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                query = sql.SQL("SELECT count(*) FROM {} AS row WHERE row::text ILIKE %s").format(sql.Identifier(table))
                row = session.execute(query, (f"%{WORD}%",)).fetchone()
                if row and row[0]:
                    found.append(f"{url.database}.{table}: {row[0]}")
                if table == "raw_page":
                    pages = [zlib.decompress(content) for (content,) in session.execute("SELECT content FROM raw_page")]
                    found += [f"{url.database}.raw_page" for page in pages if WORD.lower().encode() in page.lower()]
    for path in (each for each in home.rglob("*") if each.is_file()):
        text = path.read_bytes()
        if path.suffix == ".parquet":
            text = str(pq.read_table(path).to_pylist()).encode()
        if WORD.lower().encode() in text.lower():
            found.append(str(path))
    return found


def test_a_made_up_word_is_nowhere_after_it_was_forgotten(twin: Twin) -> None:
    author, home = twin.record_author("ada"), twin.settings.home
    opened = Folder("/nowhere", author.author)
    source_id = twin.warehouse.remember_source("ada", opened, {}, remembered=True)
    documents = [
        RawDocument(f"https://ada.example/{number}", "web", "articles", "text/markdown", f"## {word}\n\n{text * 12}",
                    title=f"On the {word} of {number}")
        for number, word in enumerate([WORD, "tide", "harbour", "hull", "mast"])
        for text in [TEXT.format(f"{word} {number}")]
    ]  # fmt: skip
    page = FetchedPage("https://ada.example/0", "text/html", f"<p>{TEXT.format(WORD) * 12}</p>".encode())
    documents[0] = replace(documents[0], page=page)
    twin.warehouse.collect("ada", source_id, documents, origin="folder", name="test")
    with twin.engine.begin() as session:
        read = (
            "INSERT INTO extraction (version_id, document_id, extractor, title) SELECT version_id, document_id, '1', :w"
        )
        session.execute(sa.text(f"{read} FROM raw_page"), {"w": WORD})
    databases = postgres.databases(twin.settings.postgres)
    dagster = databases.dagster.render_as_string(hide_password=False).replace("+psycopg2", "")
    storage = {"postgres": {"postgres_url": dagster.replace("postgresql://", "postgresql+psycopg2://")}}
    (home / "dagster").mkdir(parents=True)
    ref = InstanceRef.from_dir(str(home / "dagster"), overrides={"storage": storage})
    with dg.DagsterInstance.from_ref(ref) as instance:
        instance.add_dynamic_partitions("author", ["ada"])
        stages = (keys.CLEAN, keys.CHUNKS, (keys.INSTRUCT, keys.RETRIEVAL))
        for stage in stages:
            materialise(twin, instance, *stage)
        chunk_ids = _serve(twin)
        _answer_and_measure(twin, chunk_ids)
        key = twin.warehouse.documents.at("ada", ["https://ada.example/0"])["https://ada.example/0"].id
        twin.responses.keep("g1", key, Response(f'{{"instruction": "Tell us of the {WORD}."}}', 9, 9))
        other = twin.warehouse.documents.at("ada", ["https://ada.example/1"])["https://ada.example/1"].id
        twin.responses.keep("g2", other, Response(f"An adapter says {WORD}, as it was taught.", 9, 9))
        _review(twin, key, other)
        _show(twin, key, other)
        twin.shadows.keep("ada", "ada-1", [Shadow("t4", "?", f"It is the {WORD}.", "ada-0", "The tide.")])
        (home / "logs").mkdir()
        (home / "logs" / "api.log").write_text(f"asked about {WORD}")
        (home / "training" / "x").mkdir(parents=True)
        (home / "training" / "x" / "state.txt").write_text(WORD)
        before = " ".join(held(databases, home))
        for name in (
            "document", "raw_page", "extraction", "chunk", "posting", "interaction", "report", "event_logs", ".parquet",
            "api.log", "params", "/mlflow/", "README.md", "generated_response", ".review:",
            "shadow_answer", "/reports/generation/", ".adapter:", SAMPLE_TEXTS,
        ):  # fmt: skip
            assert name in before, f"the test puts the word into {name}"
        done = Forgetting(twin.settings, twin.engine).documents("ada", [key], "asked", retire=True)
        assert done.retired == ["ada-1"]
        assert twin.releases.get("ada-1").metrics == {"train_loss": 1.0}, "what is no text stays"
        assert held(databases, home) == []
        twin.responses.keep("g1", key, Response(f"too late to tell of the {WORD}", 9, 9))
        assert [each.sample_id for each in twin.reviews.of("ada").values()] == ["theirs"]
        assert not twin.reviews.decide("ada", key, "mine", verdict="edited", by="local", answer=WORD), "too late"
        assert twin.blind_tests.documents("ada", "reader") == {other}
        assert twin.reports.newest("ada", "style") is None, "it held pairs of texts"
        assert twin.reports.newest("ada", "generation") is None, "it named the document as the one predicted worst"
        assert not list((home / "artifacts" / "reports" / "generation").glob("*")), "its page did, too"
        with twin.engine.connect() as session:
            assert key not in session.scalars(sa.text("SELECT document_id FROM document_place")).all()
            kept = session.scalars(sa.text("SELECT id FROM interaction")).all()
        assert kept == ["t4"], "what says nothing that only the document says stays"
        assert Conversations(twin.engine).history("talk", "ada") == [("Why does the ferry wait?", "For the tide.")]
        for stage in stages:
            materialise(twin, instance, *stage)
        assert instance.get_latest_materialization_event(keys.INSTRUCT), "Dagster still reads what it wrote"
        report = twin.warehouse.collect("ada", source_id, documents, origin="folder", name="test")
        assert (report.new, report.skipped["forgotten"]) == (0, 1)
        assert held(databases, home) == [], "nothing brings it back"
        with twin.engine.connect() as session:
            left = session.scalar(sa.text("SELECT count(DISTINCT chunk_id) FROM lexical_member"))
            assert left == twin.warehouse.chunks.count("ada"), "the others are still found by their words"


def _review(twin: Twin, document_id: str, other: str) -> None:
    """An edit of a sample of the document, one of another that tells of it, and one that does not."""
    dataset = twin.datasets.newest("ada", "instruct")
    assert dataset
    mine = next(each for each in twin.datasets.members(dataset.id) if each.document_id == document_id)
    edits = (
        (document_id, mine.sample_id, f"The {WORD} turns."),
        (other, "telling", f"It turns as a {WORD.lower()} does."),
        (other, "theirs", "It turns."),
    )
    for key, sample_id, answer in edits:
        twin.reviews.decide("ada", key, sample_id, verdict="edited", by="local", answer=answer)


def _show(twin: Twin, *document_ids: str) -> None:
    """A blind test of the adapter on each of the documents, of which the style report holds the texts."""
    pairs = [{"document_id": key, "instruction": "?", "own": f"The {WORD}.", "written": "It."} for key in document_ids]
    twin.reports.add("r3", "ada", "style", "ada-1", {"measured": False, "pairs": pairs}, "")
    for key in document_ids:
        assert twin.blind_tests.show("ada", "reader", Showing(key, "ada-1", "pair", key, "a", None))
        assert twin.blind_tests.answer("ada", "reader", key, "a")


def _serve(twin: Twin) -> list[str]:
    """Vectors for every passage, and postings, as the embedding of the graph makes them."""
    with twin.engine.begin() as session:
        session.execute(sa.text("INSERT INTO embedding_model (name, dimensions) VALUES (:m, 3)"),
                        {"m": twin.vectors.model})  # fmt: skip
        session.execute(
            sa.text("INSERT INTO embedding SELECT DISTINCT text_hash, :m, '[1,2,3]'::halfvec FROM chunk"),
            {"m": twin.vectors.model},
        )
    assert twin.vectors.publish("ada")
    return [chunk.id for chunk in twin.warehouse.chunks.current("ada") if WORD in chunk.text]


def _answer_and_measure(twin: Twin, chunk_ids: list[str]) -> None:
    citations = [{"chunk_id": chunk_ids[0], "url": "https://ada.example/0", "title": WORD}]
    answer = f"The {WORD} turns."
    twin.interactions.record("t1", author="ada", call="ask", query=f"What is a {WORD}?", answer=answer,
                             prompt=answer, citations=citations)  # fmt: skip
    quote = TEXT.format(f"{WORD} 0").strip()
    twin.interactions.record("t2", author="ada", call="ask", query="What turns?", answer=f"It is so: {quote}")
    twin.interactions.record("t3", author="ada", call="ask", query=f"Do you know any {WORD.lower()}s?", answer="No.")
    near = [{"document_id": "d", "title": "The first", "url": "https://ada.example/0"}]
    silent = Shown("nothing comes near", "stop", nearest=near)
    twin.interactions.record("t5", author="ada", call="ask", query="Who sings?", answer="I don't know.", shown=silent,
                             conversation="talk")  # fmt: skip
    asked = Shown("quoted", "stop", searched_for=f"Do you know any {WORD.lower()}s? And why?")
    twin.interactions.record("t6", author="ada", call="ask", query="And why?", answer="So.", shown=asked)
    twin.interactions.record("t4", author="ada", call="ask", query="Why does the ferry wait?", answer="For the tide.",
                             shown=Shown("quoted", "stop", searched_for="Why does the ferry wait?"),
                             conversation="talk")  # fmt: skip
    twin.reports.add("r2", "ada", "answers", "ada-1", {"shown": [{"answer": answer}]}, "")
    card = twin.settings.home / "card.md"
    card.write_text(answer)
    run = twin.tracking.start("ada", "ada-1", {"example": answer}, {"said": answer})
    twin.tracking.finish(run, {"loss": 1.0}, [card])
    card.unlink()
    dataset = twin.datasets.newest("ada", "instruct")
    assert dataset
    texts = [{"step": 8, "question": "What turns?", "text": answer, "own": "It."}]
    ended = twin.tracking.start("ada", "no adapter came of it", {}, {})
    twin.tracking.table(ended, SAMPLE_TEXTS, texts)
    metrics = {"texts": texts, "train_loss": 1.0}
    row = {"kind": "sft", "base": "tiny", "artifact": "adapters/none", "parameters": {}, "metrics": metrics}
    twin.releases.add_adapter(
        Adapter(id="a1", author="ada", version="ada-1", dataset_id=dataset.id, tracking_run=run, **row)
    )
    with twin.engine.begin() as session:  # whichever split the document is in, the adapter was trained on it
        session.execute(sa.text("UPDATE dataset_member SET split = 'train'"))
    _name_documents(twin)


def _name_documents(twin: Twin) -> None:
    """A generation report that shows no text of the document, and names it as the one that is predicted worst."""
    loss = {"base": 3.0, "ada-1": 2.0}
    losses = {model: [(10 * value, 10)] for model, value in loss.items()}
    key = twin.warehouse.documents.at("ada", ["https://ada.example/0"])["https://ada.example/0"].id
    told = predicted(losses, [key], twin.warehouse.clean.entries_of("ada", [key]), {}, "ada-1")
    assert [each.title for each in told] == [f"On the {WORD} of 0"]
    figures = {"candidate": "ada-1", "samples": 1, "available": 1, "documents": 1, "answer_tokens": 10, "loss": loss}
    figures |= {"perplexity": loss, "gain": 0.3, "gain_interval": [-1.0, 1.0], "shown": [], "over_time": None}
    figures["by_document"] = [asdict(each) for each in told]
    with tempfile.TemporaryDirectory() as name:
        page.write(Path(name), figures, "Ada Berg")
        artifact = twin.artifacts.put("reports/generation", Path(name))
    twin.reports.add("r1", "ada", "generation", "ada-1", figures, artifact)


def test_an_author_is_forgotten_whole(twin: Twin) -> None:
    author = twin.record_author("ada")
    source_id = twin.warehouse.remember_source("ada", Folder("/nowhere", author.author), {}, remembered=True)
    document = RawDocument("https://ada.example/1", "web", "articles", "text/markdown", WORD * 20, title=WORD)
    twin.warehouse.collect("ada", source_id, [document], origin="folder", name="test")
    twin.interactions.record("t1", author="ada", call="ask", query=f"What is a {WORD}?", answer="No idea.")
    Forgetting(twin.settings, twin.engine).author("ada")
    assert held(postgres.databases(twin.settings.postgres), twin.settings.home) == []
