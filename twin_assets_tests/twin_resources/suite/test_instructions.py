"""Whether a program tells what was followed from what was not."""

from __future__ import annotations

import pytest

from twin_resources.suite.instructions import Instruction, instructions

FOLLOWED = {
    "Is fire cold? Answer with yes or no only.": "No.",
    "How many legs does a dog have? Answer with a number only.": "4",
    "Name a colour. Answer in one word.": "Green.",
    "Name a large city. Write it in capital letters only.": "TOKYO",
    "Say hello to a friend, in small letters only.": "hello, old friend!",
    "What is bread made of? Begin your answer with the word Well.": "Well, of flour, water and salt.",
    "Say something about winter. Begin with the word Snow.": "Snow covers the roofs.",
    "Name two tools, with a semicolon between them.": "hammer; saw",
    "What is the capital of Italy? Put your whole answer in quotation marks.": "“Rome.”",
    "Ask me a question about music.": "Which song did you hear first?",
    "Give me a JSON object with the key name and any value.": '```json\n{"name": "Ada"}\n```',
    "Write a sentence that has the word green in it twice.": "The green door hid a green garden.",
    "Write a sentence with the words boat and lantern.": "A lantern hung in the boat.",
    "Describe a forest. Answer in German.": "Im Wald stehen viele hohe Bäume, und es ist still.",
    "Describe the sea. Answer in French.": "La mer est calme ce matin, et les bateaux sont loin.",
    "Tell me about horses. Answer in Spanish.": "Los caballos corren por el campo y comen hierba.",
    "Describe rain without using the word water.": "It drums on the roof and runs down the panes.",
    "Describe a garden. Use no comma.": "It has roses and a bench under a pear tree.",
    "What is the sun? Answer in fewer than 15 words.": "The sun is a star, the nearest one to us.",
    "Name three fruits as a list, one on a line, each after a hyphen.": "- apple\n- pear\n- plum",
    "List four animals, one on a line, numbered from 1 to 4.": "1. cat\n2. dog\n3. cow\n4. hen",
    "What is a river? Answer in one sentence.": "A river is water that flows to the sea.",
    "Describe a cat in one sentence, then end with the words: That is all.": "A cat is small and soft. That is all.",
    "Why do people sleep? Answer in exactly two sentences.": "The body rests. The mind sorts the day.",
}


def asked(text: str) -> Instruction:
    return next(each for each in instructions() if each.asked == text)


def test_what_does_as_it_was_told_followed_and_rambling_and_silence_follow_nothing() -> None:
    assert {each.asked for each in instructions()} == set(FOLLOWED)
    rambling = "I have a friend, who has 2 friends, and then water is what I would say it is\nI have a friend, who has"
    for each in instructions():
        assert each.is_followed_by(FOLLOWED[each.asked], ended=True), each.asked
        assert not each.is_followed_by(rambling, ended=False), each.asked
        assert not each.is_followed_by(" \n", ended=True), each.asked
    swapped = dict(zip(FOLLOWED, [*list(FOLLOWED.values())[1:], "No."], strict=True))
    assert sum(asked(text).is_followed_by(answer, ended=True) for text, answer in swapped.items()) <= 6


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("How many legs does a dog have? Answer with a number only.", "It has 4."),
        ("Name a colour. Answer in one word.", "Light green"),
        ("Give me a JSON object with the key name and any value.", '{"key": "name"}'),
        ("Give me a JSON object with the key name and any value.", '{"name": '),
        ("Describe a forest. Answer in German.", "The forest is quiet and full of tall trees."),
        ("Describe rain without using the word water.", "Rain."),
        ("Name three fruits as a list, one on a line, each after a hyphen.", "1. apple\n2. pear\n3. plum"),
        ("List four animals, one on a line, numbered from 1 to 4.", "1. cat\n1. dog\n1. cow\n1. hen"),
        ("What is a river? Answer in one sentence.", "A river is water. It flows to the sea."),
        ("Describe a cat in one sentence, then end with the words: That is all.", "That is all. A cat is small."),
    ],
)
def test_what_does_nearly_so_did_not_follow(text: str, answer: str) -> None:
    assert not asked(text).is_followed_by(answer, ended=True)


def test_what_was_cut_off_has_no_number_of_sentences_but_begins_as_it_was_told() -> None:
    river = asked("What is a river? Answer in one sentence.")
    assert not river.is_followed_by(FOLLOWED[river.asked], ended=False)
    snow = asked("Say something about winter. Begin with the word Snow.")
    assert snow.is_followed_by(FOLLOWED[snow.asked], ended=False)
