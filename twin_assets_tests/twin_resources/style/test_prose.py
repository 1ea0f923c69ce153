"""What counts as prose, and how it is cut."""

from __future__ import annotations

from twin_resources.style.prose import LONG, SHORT, chunks, disordered, parts, sentences_of, word_count

MARKDOWN = """# A heading

I like [tides](https://example.com/a), and **you** don’t. Run `make all` first!

> Somebody else said this.

- One item — here
- [ ] two

```python
print("no")
```

| a | b |
|---|---|
| 1 | 2 |
"""


def test_only_sentences_and_items_are_prose_and_markup_is_gone() -> None:
    assert sentences_of(MARKDOWN) == ["I like tides, and you don't.", "Run first!", "One item — here", "two"]


def test_typography_does_not_tell_the_platform() -> None:
    assert sentences_of("He said “no” – twice…") == sentences_of('He said "no" -- twice...')


def test_short_documents_are_joined_and_chunks_are_of_whole_sentences() -> None:
    sentence = "One two three four five six seven eight nine ten. "
    found = chunks([sentence * 10, sentence * 20, sentence * 60])
    assert [(chunk.first, chunk.last) for chunk in found] == [(0, 1), (2, 2), (2, 2)]
    assert all(word_count(chunk.short) == SHORT and word_count(chunk.text) == LONG for chunk in found)
    assert len(chunks([sentence * 250], most=3)) == 3
    assert chunks(["Too short."]) == []


def test_what_is_left_over_is_joined_to_the_last_part() -> None:
    sentence = "One two three four five six seven eight nine ten."
    assert [len(part) for part in parts([sentence] * 27, 100)] == [10, 17]
    assert parts([sentence], 100) == [[0]]


def test_disorder_keeps_the_words_of_each_sentence() -> None:
    text = "The old gauge stood on the pier. Nobody had read it since March."
    mixed = disordered(text, 1)
    assert mixed != text
    assert sorted(mixed.split()) == sorted(text.split())
    assert set(mixed.split()[:7]) == set(text.split()[:7])
    assert mixed == disordered(text, 1)


def test_stretches_hold_every_sentence_once_and_a_short_end_joins_the_last() -> None:
    for count, sizes in ((2, [2]), (3, [3]), (5, [2, 3]), (7, [2, 2, 3]), (0, [0])):
        found = parts(["one two three"] * count, 6)
        assert [len(part) for part in found] == sizes
        assert [place for part in found for place in part] == list(range(count))
