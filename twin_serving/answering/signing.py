"""Answers that are signed: in whose name, with whose consent, by which model, from which passages."""

from __future__ import annotations

import functools
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from twin_resources.config.settings import Settings
from twin_resources.rag.citations import Citation
from twin_resources.signing import Signer, text_hash

if TYPE_CHECKING:
    from twin_serving.answering.reply import Written


class Signing:
    """Signs with the key of this installation: ``TWIN_SIGNING_KEY``, else one that is made in the home."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @functools.cached_property
    def signer(self) -> Signer:
        """The key.

        Raises:
            SignatureError: what is set or in the file is no key.
        """
        given = self.settings.signing_key
        return Signer.of(self.settings.home / "signing.key", given.get_secret_value() if given else None)

    def sign(self, written: Written) -> dict[str, Any]:
        """A statement on an answer, with its signature.

        The passages are named by address, by the hash of the text that was searched and by that of the words quoted.
        """
        author = self.settings.author(written.question.author)
        statement = {
            "version": 1,
            "author": {"id": author.id, "name": author.name, "consent": author.consent},
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "question": written.question.text,
            "answer": written.answer.text,
            "mode": written.answer.mode,
            "abstained": written.answer.abstained,
            "support": written.answer.support,
            "model": written.model,
            "passages": [_passage(each) for each in written.answer.citations],
            "trace": written.trace_id,
        }
        return asdict(self.signer.sign(statement))


def _passage(cited: Citation) -> dict[str, Any]:
    quoted = text_hash(cited.quote)
    return {"marker": cited.marker, "url": cited.url, "passage": cited.chunk_id, "quote_sha256": quoted}
