"""Candidates are those of datasketch's LSH ensemble, which keeps hash tables where this sorts arrays."""

from __future__ import annotations

import random

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSHEnsemble

from twin_resources.text import candidates as module
from twin_resources.text.candidates import PERMUTATIONS, Signatures, candidates, signature


def sets(count: int) -> list[list[int]]:
    """Sets of many sizes, of which some lie in others."""
    drawn = random.Random(5)
    made = [[drawn.getrandbits(60) for _ in range(drawn.randint(1, 400))] for _ in range(count)]
    for _ in range(count // 3):
        whole = drawn.choice(made)
        part = drawn.sample(whole, drawn.randint(1, len(whole)))
        made.append(part + [drawn.getrandbits(60) for _ in range(drawn.randint(0, 200))])
    return made


def test_the_same_pairs_as_the_library_finds() -> None:
    made = sets(900)  # more than a block of signatures, so that some lie in the file
    signatures = np.stack([signature(each) for each in made])
    sizes = np.array([len(set(each)) for each in made])
    ensemble = MinHashLSHEnsemble(threshold=0.3, num_perm=PERMUTATIONS, num_part=8, weights=(0.1, 0.9))
    sketches = [MinHash(num_perm=PERMUTATIONS, seed=1, hashvalues=each, scheme="affine32") for each in signatures]
    ensemble.index([(index, sketches[index], int(sizes[index])) for index in range(len(made))])
    expected = {
        (min(index, int(other)), max(index, int(other)))  # pyright: ignore[reportArgumentType]
        for index in range(len(made))
        for other in ensemble.query(sketches[index], int(sizes[index]))
        if other != index
    }
    assert len(expected) > 50
    with Signatures() as kept:
        for each in signatures:
            kept.add(each)
        assert [tuple(pair) for pair in candidates(kept, sizes).tolist()] == sorted(expected)


def test_texts_that_share_one_sentence_are_not_compared_and_no_pair_that_matters_is_lost() -> None:
    drawn = random.Random(6)
    sentence = [drawn.getrandbits(60) for _ in range(3)]
    made = [[*sentence, *(drawn.getrandbits(60) for _ in range(drawn.randint(300, 900)))] for _ in range(400)]
    inside = [drawn.sample(each, int(0.55 * len(each))) for each in made[:60]]
    everything = [*made, *inside]
    sizes = np.array([len(each) for each in everything])
    with Signatures() as kept:
        for each in everything:
            kept.add(signature(each))
        all_of_them = {tuple(pair) for pair in candidates(kept, sizes).tolist()}
        half = candidates(kept, sizes, lambda smaller, larger: 0.5 * smaller / (larger + 0.5 * smaller))
    found = {tuple(pair) for pair in half.tolist()}
    true = {(place, 400 + place) for place in range(60)}
    assert len(all_of_them) > 1000, "one sentence brings them together"
    assert len(found) < 200
    assert true & all_of_them == true & found


def test_a_crowd_around_one_element_is_sifted_a_few_pairs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = random.Random(7)
    made = [[1, *(drawn.getrandbits(60) for _ in range(drawn.randint(5, 60)))] for _ in range(150)]
    sizes = np.array([len(each) for each in made])
    with Signatures() as kept:
        for each in made:
            kept.add(signature(each))
        whole = candidates(kept, sizes).tolist()
        held: list[int] = []
        sift = module._equal
        monkeypatch.setattr(module, "_PAIRS", 500)
        monkeypatch.setattr(module, "_equal", lambda *given: held.append(len(given[2])) or sift(*given))
        assert candidates(kept, sizes).tolist() == whole
    assert sum(held) > 5_000
    assert max(held) < 500 + len(made)
