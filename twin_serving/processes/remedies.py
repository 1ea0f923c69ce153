"""What a person does where a blocking check failed and the graph stands still."""

from __future__ import annotations

_AGAIN = "`twin run --author {author} --select 'key:\"{stage}\"'`"
_REVIEW = f"reject or edit the samples it names on /review, then {_AGAIN}"

REMEDIES = {
    "nothing_vanished": "where you deleted them, `twin run --author {author} --accept-removals`; else `twin sources` "
    "shows what is wrong with the source",
    "words_kept": "compare the documents it names on /sources with their pages; where more than boilerplate is gone, "
    "mark them `own: false` under `override` in twin.yaml, then `twin run --author {author}`",
    "nothing_lost": f"{_AGAIN} cuts the passages anew",
    "complete": f"{_AGAIN} embeds what is missing",
    "grounded": _REVIEW,
    "no_leak": _REVIEW,
    "splits_stay": f"{_AGAIN} makes the dataset anew",
    "rightly_cited": _REVIEW,
    "enough_samples": "bring in more of the author's work: files on /sources, or a source in twin.yaml",
    "no_duplicates": _REVIEW,
    "clean_text": _REVIEW,
    "well_formed": _REVIEW,
    "answers_hold": "nothing is released; read the version's report on /releases, and bring in work that answers "
    "what it could not",
    "gate": "nothing is broken: the candidate goes no further and the champion answers on; its report on /releases "
    "says what it lacks",
}
"""By the name of the check; ``{author}`` and ``{stage}`` stand for those that it concerns."""
_ELSE = f"put right what it says, then {_AGAIN}"


def remedy(check: str, *, author: str, stage: str) -> str:
    """What to do about a blocking check that failed.

    Args:
        stage: the asset, its key joined by ``/``.
    """
    return REMEDIES.get(check, _ELSE).format(author=author, stage=stage)
