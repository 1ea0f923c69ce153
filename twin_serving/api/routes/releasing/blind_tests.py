"""Blind tests of adapter versions: a pair of texts, a reader's answer, what the answers show, and the page for it."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.storage.releases import Release
from twin_resources.style.blind.sequence import LEVEL, Standing, path
from twin_serving.answering.services import Services
from twin_serving.api.operations import Needed, Operation
from twin_serving.api.problems import Problem
from twin_serving.api.requests import note_author, read, services_of, text_of
from twin_serving.api.responses import json_response, page_response
from twin_serving.api.schemas.releasing.blind_tests import (
    READER,
    BlindAnswerIn,
    BlindAnswerOut,
    BlindResultOut,
    BlindResultsOut,
    ShownOut,
    StandingOut,
    TurnOut,
)

_READER = Needed("a token of 16 to 64 letters, digits, - and _ that the reader keeps", READER)
_TESTED = ("candidate", "champion", "previous")


async def blind_test_page(request: Request) -> Response:
    """The page on which readers tell the author from a version."""
    return page_response("/blind-test")


async def next_blind_test(request: Request) -> Response:
    """The pair of texts that a reader is asked about next; the same until it is answered."""
    services, reader = services_of(request), text_of(request, "reader", _READER)
    author, wanted = services.author(request.query_params.get("author")), request.query_params.get("version")

    def look() -> TurnOut:
        turn = services.blind_tests.turn(author, _version(services, author, wanted), reader)
        return TurnOut(
            author=author,
            version=turn.version,
            shown=ShownOut.model_validate(turn.shown) if turn.shown else None,
            because=turn.because,
            answered=turn.answered,
            total=turn.total,
        )

    return json_response(await run_in_threadpool(look))


async def answer_blind_test(request: Request) -> Response:
    """Take a reader's answer, and tell which text was the author's."""
    services = services_of(request)
    body = await read(request, BlindAnswerIn)
    author = services.author(body.author)
    note_author(request, author)

    def decide() -> BlindAnswerOut:
        found = services.blind_tests.answer(author, body.shown, body.reader, body.choice)
        tested = services.releases.get(found.version)
        return BlindAnswerOut(
            shown=found.id,
            choice=found.choice or body.choice,
            own=found.own_side,
            right=found.right,
            result=blind_result(services, tested),
        )

    return json_response(await run_in_threadpool(decide))


async def blind_test_results(request: Request) -> Response:
    """What the answers on each version show."""
    services = services_of(request)
    author = services.author(request.query_params.get("author"))

    def look() -> BlindResultsOut:
        answered = services.blind_tests.tests.tallies(author)
        releases = [
            each
            for each in services.releases.list(author)
            if each.version in answered or any(alias in _TESTED for alias in each.aliases)
        ]
        return BlindResultsOut(author=author, level=LEVEL, results=[blind_result(services, each) for each in releases])

    return json_response(await run_in_threadpool(look))


def blind_result(services: Services, release: Release) -> BlindResultOut:
    """What the answers on a version show."""
    showings = services.blind_tests
    outcomes = showings.tests.outcomes(release.author, release.version)
    standing = Standing(sum(outcomes), len(outcomes))
    return BlindResultOut(
        **StandingOut.model_validate(standing).model_dump(),
        version=release.version,
        aliases=list(release.aliases),
        pairs=len(showings.pairs(release.author, release.version)),
        e_value=standing.e_value,
        p_value=standing.p_value,
        path=[StandingOut.model_validate(each) for each in path(outcomes)],
    )


def _version(services: Services, author: str, wanted: str | None) -> str:
    """The version of an author that is meant: by its name, by an alias, or else the candidate, or the champion."""
    known = services.releases.list(author)
    named = {alias: each.version for each in known for alias in each.aliases}
    if wanted is None:
        found = next((named[alias] for alias in _TESTED if alias in named), None)
    else:
        found = named.get(wanted) or next((each.version for each in known if each.version == wanted), None)
    if found is None:
        what = f"no version {wanted!r}" if wanted else "neither a candidate nor a champion"
        raise Problem(404, "unknown-version", f"Author {author!r} has {what}; `GET /releases` lists what there is.")
    return found


OPERATIONS = (
    Operation("GET", "/blind-test", blind_test_page, "The page for telling the two apart", "text/html", open=True),
    Operation(
        "GET",
        "/blind-tests",
        next_blind_test,
        "The pair of texts that a reader is asked about next",
        TurnOut,
        query={
            "author": "whose twin; may be left out where one author is configured",
            "version": "a version, candidate, champion or previous; the candidate without it, else the champion",
            "reader": _READER,
        },
        errors=(404, 422),
    ),
    Operation(
        "POST",
        "/blind-tests",
        answer_blind_test,
        "Say which text is the author's, and be told",
        BlindAnswerOut,
        BlindAnswerIn,
        errors=(404,),
        writes=True,
    ),
    Operation(
        "GET",
        "/blind-tests/results",
        blind_test_results,
        "What the answers on each version show",
        BlindResultsOut,
        query={"author": "whose twin; may be left out where one author is configured"},
        errors=(404, 422),
    ),
)
