"""Which sentences are quoted, and in which order; vectors are given by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twin_resources.rag.answer import quoted, silence
from twin_resources.rag.intent import asks_what_there_is, intent_of, tells_of, term_of, wants_writing
from twin_resources.rag.quote import compose
from twin_resources.rag.silence import Evidence, names_in, threshold
from twin_resources.retrieval.search import Hit
from twin_resources.retrieval.sentences import Sentences, cut
from twin_resources.text.units import units

QUESTION = np.array([1.0, 0.0])


def hit(name: str, text: str, score: float = 1.0) -> Hit:
    url = f"https://ada.example/{name}"
    return Hit(name, f"d-{name}", name, url, "medium", "articles", None, (), text, score, {"dense": 0.5})


def scored(found: Hit, *likeness: float, side: int = 1) -> Sentences:
    """``side`` 1 or -1: what is as like the question from two sides is not alike."""
    cut = units(found.text)
    assert len(cut) == len(likeness), [found.text[unit.start : unit.end] for unit in cut]
    return Sentences(cut, np.array([[value, side * (1 - value**2) ** 0.5] for value in likeness]))


def quote(question: str, *passages: tuple[Hit, Sentences], said: str = "") -> list[str]:
    hits = [found for found, _ in passages]
    runs = compose(question, QUESTION, hits, {found.chunk_id: cut for found, cut in passages}, said=said)
    return [hits[run.index].text[run.start : run.end] for run in runs]


def test_the_best_sentence_brings_the_one_it_leans_on() -> None:
    one = hit("one", "The gauge stands on the pier. It writes every six minutes. Herons do not care at all.")
    assert quote("How often does the gauge write?", (one, scored(one, 0.3, 0.9, 0.0))) == [
        "The gauge stands on the pier. It writes every six minutes."
    ]


def test_what_was_said_before_makes_way_for_what_was_not() -> None:
    one = hit("one", "The gauge writes down a reading every six minutes of the day.")
    two = hit("two", "The gauge stands at the north pier, right behind the old fish market.")
    passages = ((one, scored(one, 0.9)), (two, scored(two, 0.7)))
    assert quote("How often does it write? And where is it?", *passages)[0] == one.text
    assert quote("How often does it write? And where is it?", *passages, said=f"{one.text} [1]")[0] == two.text
    everything = f"{one.text} [1]\n\n{two.text} [2]"
    assert quote("How often does it write? And where is it?", *passages, said=everything)[0] == one.text


@pytest.mark.parametrize(
    "leaning",
    ["I left them out at first.", "Not twice.", "The graph leans on all of this.", "We've measured it twice."],
)
def test_a_sentence_that_points_to_the_one_before_brings_it_too(leaning: str) -> None:
    one = hit("one", f"Two special tokens are added to each chunk. {leaning} Herons do not care at all.")
    assert quote("What did you leave out of a chunk?", (one, scored(one, 0.3, 0.9, 0.0))) == [
        f"Two special tokens are added to each chunk. {leaning}"
    ]


def test_what_a_sentence_announces_by_its_number_comes_with_it() -> None:
    text = "A gate has three properties. It failed once. It stops what is behind it. People can read it. I like tea."
    one = hit("one", text)
    assert quote("Which properties make a gate more than a door?", (one, scored(one, 0.9, 0.1, 0.1, 0.1, 0.1))) == [
        "A gate has three properties. It failed once. It stops what is behind it. People can read it."
    ]


def test_a_short_sentence_is_taken_along_but_not_begun_with() -> None:
    one = hit("one", "There is a table for what was forgotten, by address. It holds no text. It holds dates.")
    two = hit("two", "It holds dates.", 0.2)
    asked = "What does the table of forgotten things hold?"
    assert quote(asked, (one, scored(one, 0.8, 0.6, 0.6)), (two, scored(two, 0.7))) == [one.text]


def test_a_list_stays_a_list_with_the_line_that_leads_in() -> None:
    text = "I would insist on three things:\n\n- Partition by author.\n- Hash the content.\n- Keep functions thin."
    one = hit("one", text)
    assert quote("What are the things you insist on?", (one, scored(one, 0.4, 0.3, 0.8, 0.2))) == [text]


def test_steps_come_with_the_list_that_their_paragraph_leads_in() -> None:
    topic = (
        "The scores of a gauge could be written down by hand, but a small network learns them while everybody sleeps."
    )
    one = hit(
        "one", f"{topic} Torvald had a formula in pencil. There are three parts of it:\n\n1. Turn.\n2. Bend.\n3. Scale."
    )
    sentences = scored(one, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert quote("What are the steps of learning scores?", (one, sentences)) == [one.text]
    assert quote("Who learns the scores of a gauge?", (one, sentences)) == [topic]


@pytest.mark.parametrize("goes_on", ["It keeps two more numbers for each one.", "This doubles what is kept."])
def test_a_topic_comes_with_the_sentences_that_tell_of_it(goes_on: str) -> None:
    topic = "The old gauge of the harbour is the one that most people choose, and it is the most stable of all of them."
    one = hit("one", f"{topic} {goes_on} Herons do not care at all.")
    assert quote("Why is the old gauge dear?", (one, scored(one, 0.9, 0.1, 0.0))) == [f"{topic} {goes_on}"]


def test_a_short_sentence_that_sets_up_the_next_one_does_not_end_an_answer() -> None:
    topic = "People hear of a log that is never rubbed out and think of disks that fill up and of bills for more."
    one = hit("one", f"{topic} I measured it. A year came to 38 megabytes in the end. Herons do not care at all.")
    assert quote("Does the log fill the disk?", (one, scored(one, 0.9, 0.3, 0.5, 0.0))) == [
        one.text.removesuffix(" Herons do not care at all.")
    ]


def test_what_one_run_took_along_is_no_reason_to_leave_out_the_next() -> None:
    eager = "With the eager setting, whatever is downstream of something that has been run before it is run as well."
    crawled = "The crawler had run, so cleaning ran, and the chunking, and forty minutes of training on the same texts."
    one = hit("one", f"{eager} I tried it for two weeks. {crawled}")
    sentences = scored(one, 0.9, 0.2, 0.89)
    sentences.vectors[2] *= (1, -1)
    assert quote("Why is the eager setting run no more?", (one, sentences)) == [one.text]


@pytest.mark.parametrize(
    "posed",
    [
        "My problem was plain: I didn't know the fastest way to walk over rows of the big table.",
        "In the end of the day, the question is which way over the rows of a table is fastest.",
        "Now let's see which way over the rows of that big table is really the fastest of all.",
        "Here we will learn which way over the rows of that big table is the fastest of all.",
    ],
)
def test_a_sentence_that_poses_the_question_makes_way_for_one_that_answers(posed: str) -> None:
    poses = hit("one", posed)
    told = hit("two", "Vectors of whole columns are nineteen hundred times faster than a loop over rows of a table.")
    asked = "What is the fastest way over the rows of a table?"
    assert quote(asked, (poses, scored(poses, 0.9)), (told, scored(told, 0.8, side=-1)))[0] == told.text


def test_a_list_brings_what_the_line_leans_on_that_leads_in() -> None:
    text = "We cut by category and not by platform. There are three:\n\n- Articles.\n- Posts.\n- Code."
    one = hit("one", text)
    assert quote("How are texts cut?", (one, scored(one, 0.2, 0.2, 0.8, 0.3, 0.3))) == [text]


@pytest.mark.parametrize(
    ("opener", "brought"),
    [("That is what I mean by lineage.", True), ("I call it so.", True), ("A plate is what I mean by it.", False)],
)
def test_a_paragraph_that_points_back_brings_the_end_of_the_one_before(opener: str, brought: bool) -> None:
    before = "Under the thwart of every boat there is a brass plate with a number that leads back to the slip."
    one = hit("one", f"{before}\n\n{opener} It is kept for every answer.")
    text = one.text if brought else one.text.split("\n\n")[1]
    assert quote("What is lineage?", (one, scored(one, -0.5, 0.9, 0.7))) == [text]


@pytest.mark.parametrize(
    "opener",
    ["He kept it for every answer.", "The second one is worth most.", "For example, the boats of 1987 had it."],
)
def test_a_paragraph_that_leans_brings_the_end_of_the_one_before(opener: str) -> None:
    one = hit("one", f"Nils put a brass plate under the thwart of every boat he built.\n\n{opener} Herons do not care.")
    assert quote("What was kept?", (one, scored(one, 0.3, 0.9, 0.0))) == [one.text.removesuffix(" Herons do not care.")]


def test_what_explains_a_list_or_code_brings_it() -> None:
    listed = hit(
        "one", "The gauge has two parts:\n\n- A float.\n- A pen.\n\nThese are cleaned once a year, at low water."
    )
    assert quote("What is cleaned?", (listed, scored(listed, 0.2, 0.1, 0.1, 0.9))) == [listed.text]
    coded = hit(
        "two", "This worked:\n\n```\nclean(float)\n```\n\nWhich takes all of the weed off the float in a second."
    )
    assert quote("How is weed taken off?", (coded, scored(coded, 0.2, 0.1, 0.9))) == [coded.text]


def test_a_sentence_that_leans_on_what_is_not_there_makes_way_for_one_that_stands() -> None:
    lost = hit("one", "He never came back to the harbour after that winter, and nobody asked where the boat had gone.")
    clear = hit("two", "Nils left the harbour in the winter of 1987, on a boat that he had built on his own slip.", 0.9)
    asked = "When did Nils leave?"
    assert quote(asked, (lost, scored(lost, 0.8)), (clear, scored(clear, 0.7, side=-1))) == [clear.text]
    assert quote(asked, (lost, scored(lost, 0.8))) == [lost.text]


def test_a_run_begins_behind_what_leans_where_it_can_do_without() -> None:
    one = hit(
        "one", "But he was deaf. The gauge on the pier writes every six minutes, whatever the weather does to it."
    )
    assert quote("How often does the gauge write?", (one, scored(one, 0.8, 0.9))) == [one.text[17:]]


def test_sentences_that_stand_close_together_are_not_torn_apart() -> None:
    near = (
        "A public dataset has 2,500 samples.\n\nNot one of them mentions tides.\n\n69 tests stand in its training half."
    )
    one = hit("one", f"{near}\n\nI like tea.\n\nI like rum.\n\nI like rain.\n\nMy own dataset has 240 samples.")
    sentences = scored(one, 0.9, 0.1, 0.85, 0.0, 0.0, 0.0, 0.4)
    sentences.vectors[2] *= (1, -1)
    assert quote("What is in the dataset?", (one, sentences))[0] == near


def test_what_holds_no_word_is_quoted_only_between_what_does() -> None:
    one = hit("one", "A float moves its pen. ... It sleeps at noon.\n\n- A float.\n- A pen.\n\n* * *\n\n5\\.")
    for likeness in ((0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1), (0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9)):
        answer = quoted("What does the gauge do?", QUESTION, [one], {"one": scored(one, *likeness)}, "because")
        assert answer is not None
        assert all(any(letter.isalpha() for letter in each.text) for each in answer.sentences)


def test_a_picture_is_no_sentence() -> None:
    one = hit("one", 'The gauge stands on the pier.\n\n<img alt="A gauge" src="/gauge.png">\n\n![A gauge](/other.png)')
    assert quote("Where is the gauge?", (one, scored(one, 0.7, 0.9, 0.9))) == ["The gauge stands on the pier."]


def test_a_line_that_announces_something_does_not_end_an_answer() -> None:
    text = "The gauge was mended by Nils. To sum up:\n\nThe float was full of weed, so was a pen.\n\nI like tea a lot."
    one = hit("one", text)
    said = quote("What was mended?", (one, scored(one, 0.8, 0.7, 0.2, 0.0)))
    assert said == [text.removesuffix("\n\nI like tea a lot.")]
    cut = hit("two", "The gauge was mended by Nils in the winter. To sum up:")
    assert quote("What was mended?", (cut, scored(cut, 0.8, 0.7))) == [cut.text.removesuffix(" To sum up:")]


def test_a_caption_makes_way_for_a_sentence() -> None:
    one = hit(
        "one", "The gauge at the pier [Image by the Author]\n\nA gauge writes down each height of the sea there is."
    )
    assert quote("What does a gauge write?", (one, scored(one, 0.9, 0.7))) == [one.text.split("\n\n")[1]]


def test_code_is_whole_and_only_where_it_is_wanted() -> None:
    text = "The score is calibrated between a floor and a ceiling.\n\n```\ndef calibrated(x):\n    return x\n```"
    one = hit("one", text)
    assert "def calibrated" in quote("Show me the function that calibrates", (one, scored(one, 0.5, 0.6)))[0]
    assert quote("What is calibrated?", (one, scored(one, 0.6, 0.6))) == [
        "The score is calibrated between a floor and a ceiling."
    ]


def test_a_program_is_quoted_whole_and_fenced_and_not_line_by_line() -> None:
    text = "def rising(levels):\n    for window in pairs(levels):\n        yield window\n"
    river = Hit("river", "d", "river.py", "https://ada.example/blob/HEAD/river.py", "github", "code", None, (), text)
    river.scores["dense"] = 0.5
    [unit] = cut(river)
    answer = quoted(
        "Show me the function for rising levels",
        QUESTION,
        [river],
        {"river": Sentences([unit], np.array([[0.6, 0.8]]))},
        "because",
    )
    assert answer is not None
    assert answer.text == f"```\n{text.strip()}\n```\n\n[1]"
    assert [each.text for each in answer.sentences] == [text.strip()] == [answer.citations[0].quote]


def test_prose_in_a_repository_is_cut_into_sentences() -> None:
    text = "The gauge stands on the pier. It writes every six minutes."
    for name in ("README.md", "docs/guide.rst", "README", "Notes.ipynb"):
        read = Hit(name, "d", name, f"https://ada.example/blob/HEAD/{name}", "github", "code", None, (), text)
        assert len(cut(read)) == 2, name


def test_indented_code_is_shown_as_a_block() -> None:
    text = "Levels rise like this:\n\n    for each in levels:\n        print(each)\n"
    one = hit("one", text)
    answer = quoted("Show me the code that prints levels", QUESTION, [one], {"one": scored(one, 0.5, 0.8)}, "because")
    assert answer is not None
    assert "```\nfor each in levels:\n    print(each)\n```\n\n[1]" in answer.text


def test_a_second_document_has_to_answer_nearly_as_well() -> None:
    said = "The gauge at the end of the pier writes a height every six minutes, day and night, whatever the weather is."
    near, far = "Heights are read from the gauge each six minutes.", "Harbours freeze in the north now and then."
    one, two = hit("one", said), hit("two", near)
    same = replace(hit("more", far), document_id=one.document_id)
    asked = "How often does the gauge write?"
    assert quote(asked, (one, scored(one, 0.9)), (two, scored(two, 0.85, side=-1))) == [said, near]
    assert quote(asked, (one, scored(one, 0.9)), (two, scored(two, 0.75, side=-1))) == [said]
    assert quote(asked, (one, scored(one, 0.9)), (two, scored(two, 0.65, side=-1))) == [said]
    assert quote(asked, (one, scored(one, 0.9)), (same, scored(same, 0.65, side=-1))) == [said, far]


@pytest.mark.parametrize(
    "empty",
    [
        "If you want to know more about gauges, read my book.",
        "In this article, we set up a gauge.",
        "How powerful is a gauge?__",
        "Here is what a gauge writes:",
    ],
)
def test_what_tells_nothing_fills_no_answer_up(empty: str) -> None:
    said = "The gauge at the pier writes a height down."
    one = hit("one", said)
    two = replace(hit("two", empty, 0.98), document_id=one.document_id)
    assert quote("What does the gauge write?", (one, scored(one, 0.7)), (two, scored(two, 0.9, side=-1))) == [said]
    assert quote("What does the gauge write?", (two, scored(two, 0.9, side=-1))) == [empty], (
        "where there is nothing else"
    )


def test_what_is_said_twice_is_quoted_once() -> None:
    one, two = hit("one", "The engine was changed at night."), hit("two", "They changed the engine at night.", 0.9)
    assert len(quote("When was the engine changed?", (one, scored(one, 0.9)), (two, scored(two, 0.9)))) == 1


def test_every_sentence_carries_its_marker_and_stands_word_for_word_in_its_passage() -> None:
    one = hit("one", "The gauge stands on the pier. It writes every six minutes.")
    answer = quoted("How often?", QUESTION, [one], {"one": scored(one, 0.8, 0.9)}, "because")
    assert answer is not None
    assert answer.text == "The gauge stands on the pier. [1] It writes every six minutes. [1]"
    assert all(each.text in one.text and each.markers == (1,) for each in answer.sentences)
    assert (answer.support, answer.grounded, answer.citations[0].quote) == (1.0, True, one.text)


def test_silence_names_what_comes_nearest_once_a_document() -> None:
    hits = [hit("one", "a"), hit("one", "b"), hit("two", "c")]
    answer = silence("What is the capital of Mongolia?", hits, "nothing")
    assert (answer.text, answer.support) == ("I haven't written about that.", None)
    assert [near.title for near in answer.nearest] == ["one", "two"]


def test_silence_speaks_the_language_of_a_short_question_too() -> None:
    assert silence("Wo legt pip seine Pakete ab?", [], "nothing").text == "Darüber habe ich nicht geschrieben."
    assert silence("Rust borrow checker", [], "nothing").text == "I haven't written about that."


def test_who_asks_what_something_is_reads_what_is_said_of_it_first() -> None:
    one = hit("one", "Four things I did in my first week with a gauge.")
    two = hit("two", "A gauge writes the height of the water down every six minutes.")
    passages = (one, scored(one, 0.72)), (two, scored(two, 0.66))
    assert quote("What is a gauge?", *passages)[0] == two.text
    assert quote("How did it go with the gauge?", *passages)[0] == one.text


def test_what_a_question_wants_to_be_told_the_meaning_of() -> None:
    for question in ("What is a gate?", "So what's a gate, exactly?", "Was ist ein gate?", "What does gate mean?"):
        assert term_of(question) == "gate", question
    for question in ("What is the best way to open a gate?", "What are you doing?", "Why is there a gate?"):
        assert term_of(question) is None, question


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("**Low-Rank Adaptation (LoRA)** is a technique.", True),
        ("LoRA leaves the base alone.", True),
        ("So it was LoRA that helped.", False),
        ("The base is left alone by LoRA.", False),
        ("LoRA!", False),
    ],
)
def test_a_sentence_tells_of_what_it_begins_with(sentence: str, told: bool) -> None:
    assert tells_of("LoRA", sentence) is told


def test_a_link_card_makes_way() -> None:
    card = hit("card", "Graph attention networks, a guide to all of them towardsdatascience.com")
    said = hit("said", "In graph attention networks each neighbour has a weight of its own.")
    assert (
        quote("How do graph attention networks work?", (card, scored(card, 0.8)), (said, scored(said, 0.7)))[0]
        == said.text
    )


def test_what_a_question_wants() -> None:
    wanted = {
        "Why do you mask the prompt?": "reason",
        "What is an asset?": "definition",
        "How do I add a platform?": "steps",
        "How many words has a chunk?": "number",
        "When did you change the engine?": "date",
        "Show me the code of the fusion": "code",
        "Warum gibt es nur einen Graphen?": "reason",
        "the kettle": "prose",
    }
    assert {question: intent_of(question) for question in wanted} == wanted
    assert wants_writing("Please write a post about tides")
    assert not wants_writing("What do you write about tides?")


def test_a_name_is_known_by_its_spelling() -> None:
    assert names_in("What do you think of Rust's borrow checker on iOS?") == ["Rust's", "iOS"]
    assert names_in("Why is there one graph?") == []


def test_at_most_the_configured_share_of_answerable_questions_is_refused() -> None:
    scores = [number / 100 for number in range(1, 100)]
    chosen = threshold(scores, 0.05)
    assert sum(score < chosen for score in scores) / len(scores) <= 0.05
    assert threshold([], 0.05) == threshold([0.9], 0.05)
    assert Evidence(0.5, 0.5, 0.5, ("Mongolia",)).score < Evidence(0.5, 0.5, 0.5).score


@pytest.mark.parametrize(
    "question",
    [
        "hi",
        "Hello!",
        "What do you write about?",
        "who are you",
        "What can I ask you?",
        "Hi there, who are you?",
        "Who are you, and what do you work on?",
        "Tell me a bit about yourself.",
        "Wer bist du und worüber schreibst du?",
    ],
)
def test_who_asks_what_there_is_gets_no_answer_to_anything_else(question: str) -> None:
    assert asks_what_there_is(question)


@pytest.mark.parametrize(
    "question",
    [
        "What do you write about tides?",
        "Hi, how does LoRA work?",
        "Who are you and why tides?",
        "What do you do at low tide?",
        "What is a gate?",
        "?",
    ],
)
def test_a_question_about_something_is_not_about_what_there_is(question: str) -> None:
    assert not asks_what_there_is(question)
