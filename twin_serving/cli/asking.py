"""Searching, asking and scoring, with the running API where there is one."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_serving.cli.context import AsJson, Author, author_of, load_settings, open_database
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json, say, shorten

if TYPE_CHECKING:
    from twin_resources.config.settings import Settings
    from twin_resources.retrieval.options import Mode

_LOADING_SECONDS = 120.0
_SHOWN = 8
"""Sentences of a draft that are shown to a person."""
_MODES: Mapping[str, Mode] = {"hybrid": "hybrid", "dense": "dense", "lexical": "lexical"}


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    author: Author = None,
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="How many passages.")] = 5,
    mode: Annotated[str, typer.Option(help="hybrid, dense (meaning) or lexical (words).")] = "hybrid",
    category: Annotated[list[str] | None, typer.Option(help="articles, posts or code; may be repeated.")] = None,
    platform: Annotated[list[str] | None, typer.Option(help="medium, github, …; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find passages of an author's work, with the running API where there is one."""
    if mode not in _MODES:
        raise typer.BadParameter(f"{mode!r} is none of hybrid, dense, lexical", param_hint="--mode")
    settings = load_settings()
    chosen = author_of(settings, author)
    filters = {"category": category or [], "platform": platform or []}
    if url := _api(settings):
        body = {"query": query, "author": chosen.id, "k": k, "mode": mode, "filters": filters}
        found = _call(settings, url, "/search", body, 60)
    else:
        found = _search_here(settings, chosen.id, query, k, _MODES[mode], filters)
    if as_json:
        print_json(found)
        return
    if not found["results"]:
        typer.echo("nothing was found; `twin status` shows whether anything is embedded yet")
    for number, hit in enumerate(found["results"], start=1):
        date = f", {str(hit['published_at'])[:10]}" if hit.get("published_at") else ""
        typer.echo(f"{number}. {hit['title']}  ({hit['platform']}{date})  {hit['score']:.4f}")
        typer.echo(f"   {hit['url']}")
        typer.echo(f"   {shorten(' '.join(hit['text'].split()), 300)}\n")


def _search_here(
    settings: Settings, author: str, query: str, k: int, mode: Mode, filters: Mapping[str, Any]
) -> dict[str, Any]:
    """Search in this process, as the API does; loads the embedding model, which takes some seconds."""
    from twin_resources.rag.pipeline import Rag
    from twin_resources.retrieval.embedder import Embedder
    from twin_resources.retrieval.reranker import Reranker
    from twin_resources.retrieval.search import Filters
    from twin_serving.answering.results import results_of

    _, engine = open_database(settings)
    rag = Rag(settings, engine, Embedder.of(settings), Reranker.of(settings))
    return results_of(rag.search(author, query, k=k, mode=mode, filters=Filters(**filters)))


def ask(
    question: Annotated[str, typer.Argument(help="What to ask the twin.")],
    author: Author = None,
    no_rag: Annotated[bool, typer.Option("--no-rag", help="Answer without passages.")] = False,
    mode: Annotated[str, typer.Option(help="auto, quote (the author's own sentences), generate or write.")] = "auto",
    model: Annotated[str | None, typer.Option(help="champion, previous, candidate, base or a version.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Go on with it; its id stands below each answer.")] = None,
    sign: Annotated[bool, typer.Option("--sign", help="With --json: a signed statement, for `twin verify`.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask an author's twin. The API has to be up: it holds the models."""
    if mode not in ("auto", "quote", "generate", "write"):
        raise typer.BadParameter(f"{mode!r} is none of auto, quote, generate, write", param_hint="--mode")
    settings = load_settings()
    chosen = author_of(settings, author)
    url = _api(settings)
    if url is None:
        raise CommandError(
            f"no API answers on port {settings.api_port}, and it holds the model; start it with `twin up --api-only`"
        )
    body = {"query": question, "author": chosen.id, "use_rag": not no_rag, "mode": mode, "sign": sign}
    body |= {"model": model} if model else {}
    body |= {"conversation_id": conversation} if conversation else {}
    answer = _call(settings, url, "/ask", body, 600)
    if as_json:
        print_json(answer)
        return
    for line in _told(answer):
        typer.echo(line)
    say(f"trace {answer['trace_id']} · conversation {answer['conversation_id']}")


def _told(answer: Mapping[str, Any]) -> Iterator[str]:
    """An answer for a person: what it says, what it rests on, and in the last lines what it is worth."""
    yield answer["answer"]
    yield ""
    for citation in answer["citations"]:
        yield f"[{citation['marker']}] {citation['title']}  {citation['url']}"
        yield f"    “{shorten(' '.join(citation['quote'].split()), 300)}”"
    for near in answer["nearest"]:
        yield f"near: {near['title']}  {near['url']}"
    for sentence in answer["sentences"]:
        if not sentence["supported"]:
            yield f"no passage supports: {' '.join(sentence['text'].split())}"
    support = "" if answer["support"] is None else f" · {answer['support']:.0%} supported"
    yield f"{_author_of(answer)}{support} · because: {answer['because']}"


def _author_of(answer: Mapping[str, Any]) -> str:
    """Whose words an answer is."""
    if answer["abstained"]:
        return "Silent: the author has not written about this"
    return {
        "quote": "Quoted: in the author's own words",
        "generate": f"Generated from the author's passages: {answer['model']['version']}",
        "write": f"Written by the twin, not the author: {answer['model']['version']}",
    }[answer["mode"]]


def verify(
    file: Annotated[str, typer.Argument(metavar="ANSWER.json", help="A signed answer of `/ask`; - for input.")],
    key: Annotated[str | None, typer.Option(help="The twin's public key, from somebody you trust.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a signed answer offline: whose it is, what was asked and said, and from which passages."""
    from twin_resources.signing import Signed
    from twin_resources.signing import verify as checked

    try:
        told = json.loads(_draft(file))
        signed = Signed(**told.get("signed", told))
    except (ValueError, TypeError, AttributeError):
        raise CommandError(f"{file} holds no signed answer; ask with `--sign --json`, or send `sign: true`") from None
    statement = checked(signed, key)
    if as_json:
        print_json({"verified": True, "key_known": key is not None, **asdict(signed)})
        return
    author = statement["author"]
    typer.echo(f"signed by {signed.public_key}")
    if key is None:
        typer.echo("whose key that is you have to know; `--key` compares it with the one on GET /signing-key")
    typer.echo(f"{author['name']} ({author['consent']}), {statement['at']}, {statement['model']['version']}")
    typer.echo(f"asked: {statement['question']}")
    typer.echo(f"answered ({statement['mode']}): {statement['answer']}")
    for each in statement["passages"]:
        typer.echo(f"[{each['marker']}] {each['url']}  {each['passage']}")


def score(
    draft: Annotated[str, typer.Argument(help="A file of Markdown or plain text; - reads standard input.")],
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Say how much a draft sounds like its author, and which sentences do not; needs no language model."""
    text = _draft(draft)
    settings = load_settings()
    chosen = author_of(settings, author)
    if url := _api(settings):
        found = _call(settings, url, "/score", {"text": text, "author": chosen.id}, 300)
    else:
        found = _score_here(settings, chosen.id, text)
    if as_json:
        print_json(found)
        return
    for line in _verdict(found):
        typer.echo(line)


def _draft(name: str) -> str:
    """The text of a draft."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{name} is no UTF-8 text; save it as Markdown or plain text") from None
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}") from None
    if not text.strip():
        raise CommandError(f"{'standard input' if name == '-' else name} is empty; there is nothing to read")
    return text


def _score_here(settings: Settings, author: str, text: str) -> dict[str, Any]:
    """Score in this process, as the API does; loads the embedding model, which takes some seconds."""
    from twin_resources.rag.pipeline import Rag
    from twin_resources.retrieval.embedder import Embedder
    from twin_serving.answering.scoring import Scoring

    _, engine = open_database(settings)
    return Scoring(settings).score(engine, Rag(settings, engine, Embedder.of(settings), None), author, text)


def _verdict(found: Mapping[str, Any]) -> Iterator[str]:
    """A verdict for a person: figures, what they are worth, what differs, and the sentences least like the author."""
    verifier = found["verifier"]
    yield (
        f"{found['score']:.0%} likely the author's, at or above {found['percentile']:.0%} of their own held-out texts "
        f"of some {verifier['length']} words"
    )
    counts = "this score counts" if verifier["counts"] else "do not rely on this score"
    figures = f"AUC {verifier['auc']:.2f}, c@1 {verifier['c_at_1']:.2f}, F0.5u {verifier['f_05_u']:.2f}"
    yield f"{found['words']} words; {counts}: {figures} against impostors of whom nothing was learned"
    for held in verifier["held_out"]:
        yield f"it stands in your document “{held['title']}” ({held['url']}), which was held out to judge it"
    for remark in verifier["remarks"]:
        yield f"- {remark['text']}"
    yield ""
    for voice in verifier["voices"]:
        worth = "counts" if voice["counts"] else "does not count"
        yield f"{voice['score']:>5.0%}  {voice['name']}  (AUC {voice['auc']:.2f}, {worth})"
    weakest = sorted((each for each in found["sentences"] if each["score"] < 0.5), key=lambda each: each["score"])
    if weakest:
        yield "\nleast like the author, each with the words around it:"
    for each in weakest[:_SHOWN]:
        yield f"{each['score']:>5.0%}  {shorten(' '.join(each['text'].split()), 160)}"
        if near := each["nearest"]:
            yield f"       near: {near['title']}  {near['url']}"


def _api(settings: Settings) -> str | None:
    """The address of the running API, if one answers at the configured port."""
    from twin_serving.processes.servers import list_servers

    server = list_servers(settings)["api"]
    return server.url if server.answers() else None


def _call(settings: Settings, url: str, path: str, body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Ask the running API; while its models are still loading, wait for them."""
    import httpx

    headers = {"Authorization": f"Bearer {settings.keys[0]}"} if settings.keys else {}
    end = time.monotonic() + _LOADING_SECONDS
    said = ""
    while True:
        try:
            response = httpx.post(f"{url}{path}", json=body, headers=headers, timeout=seconds, trust_env=False)
        except httpx.TimeoutException:
            raise CommandError(f"{url}{path} did not answer within {seconds:.0f} s") from None
        if response.status_code < 400:
            return response.json()
        detail = _detail(response.text)
        passing = response.status_code == 503 and any(word in detail for word in ("loading", "starting"))
        if not passing or time.monotonic() > end:
            raise CommandError(f"{url}{path} answered {response.status_code}: {detail}")
        if detail != said:
            say(f"waiting: {detail}")
            said = detail
        time.sleep(1)


def _detail(body: str) -> str:
    """What an error response says, from its problem document where it is one."""
    try:
        problem = json.loads(body)
        return str(problem.get("detail") or problem.get("title") or body)
    except (ValueError, AttributeError):
        return body[:200]
