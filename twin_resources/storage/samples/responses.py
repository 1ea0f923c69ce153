"""What language models wrote of documents, for samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.database.schema import document, generated_response

_PAGE = 1000


@dataclass(frozen=True)
class Response:
    """What a language model wrote, as it wrote it, and what that took."""

    content: str
    prompt_tokens: int
    completion_tokens: int


class Responses:
    """What language models wrote of documents, kept for as long as the document is."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def find(self, ids: Sequence[str]) -> dict[str, Response]:
        """Those of ``ids`` that are kept."""
        columns = generated_response.c
        query = sa.select(columns.id, columns.content, columns.prompt_tokens, columns.completion_tokens)
        found: dict[str, Response] = {}
        with self.engine.connect() as session:
            for start in range(0, len(ids), _PAGE):
                rows = session.execute(query.where(columns.id.in_(ids[start : start + _PAGE])))
                found.update((row.id, Response(*row[1:])) for row in rows)
        return found

    def keep(self, response_id: str, document_id: str, response: Response) -> None:
        """Keep a response; does nothing where its document has gone in the meantime."""
        values = (response.content.replace("\x00", ""), response.prompt_tokens, response.completion_tokens)
        row = sa.select(sa.literal(response_id), document.c.author, document.c.id, *map(sa.literal, values))
        names = ["id", "author", "document_id", "content", "prompt_tokens", "completion_tokens"]
        statement = insert(generated_response).from_select(names, row.where(document.c.id == document_id))
        with self.engine.begin() as session:
            session.execute(statement.on_conflict_do_nothing())
