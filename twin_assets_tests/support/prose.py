"""Real prose of two authors that ship with the project, and few impostors, so that a style is known in seconds."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from twin_assets.clean.clean import clean
from twin_assets_tests.support import essays
from twin_resources.config.settings import AuthorSettings
from twin_resources.sources.base import RawDocument
from twin_resources.sources.registry import registry
from twin_resources.storage.clean_store import CleanDocument
from twin_resources.style.profile import Profile, build
from twin_resources.style.reference import Group, Reference, packaged

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "sample"


@functools.cache
def few_impostors() -> Reference:
    """The packaged reference with every fifth text."""
    reference = packaged()
    first, second, third = (_every_fifth(group) for group in reference.groups)
    return replace(reference, groups=(first, second, third))


def _every_fifth(group: Group) -> Group:
    return group.take(np.arange(0, len(group.authors), 5))


@functools.cache
def mira_texts() -> tuple[str, ...]:
    """The articles of the sample author as Markdown."""
    of = AuthorSettings(id="mira", name="Mira Solberg", consent="These accounts are mine. 2026-11-21").author
    found = []
    for kind, folder in (("medium_export", "medium"), ("substack_export", "substack")):
        items = [item for item in registry()[kind](str(SAMPLE / folder), of).read() if isinstance(item, RawDocument)]
        for item in items:
            if item.category == "articles" and item.byline in (None, "Mira Solberg"):
                cleaned = clean(item.body, item.media_type, category="articles", title=item.title)
                found.append(cleaned.text)
    return tuple(dict.fromkeys(found))


@functools.cache
def mira() -> Profile:
    """Her profile."""
    return build("mira", "key", documents(mira_texts()), few_impostors())


def essay_texts(count: int) -> tuple[str, ...]:
    """Essays of the author of essays, who writes nothing like Mira."""
    return tuple(essays.essay(number) for number in range(count))


def documents(texts: tuple[str, ...]) -> list[CleanDocument]:
    """Clean documents with these texts."""
    common: dict[str, Any] = {
        "author": "mira", "version_id": "v", "cleaner": "test", "category": "articles", "platform": "web",
        "published_at": None, "content_hash": "h", "kept_share": 1.0, "byline": None, "attributes": {}, "removed": {},
    }  # fmt: skip
    return [
        CleanDocument(
            **common, id=f"c{row}", document_id=f"d{row}", url=f"https://mira.example/{row}", title=f"Text {row}",
            text=text, words=len(text.split()),
        )
        for row, text in enumerate(texts)
    ]  # fmt: skip


FOREIGN = """
So you've decided you want to containerize your app? Awesome! In this tutorial we're going to walk through everything
that you'll need to get up and running, step by step. Don't worry if you've never used containers before: it's super
easy, and by the end of this post you'll be able to deploy your very own service to production!

First of all, let's make sure that you have everything installed. You can check this by running the version command in
your terminal, which should give you something like the following output. If it doesn't, then you'll probably want to
head over to the official documentation and follow the installation guide for your specific platform.

Now that we've got that out of the way, let's talk about what's actually going on under the hood. Basically, a container
is just an isolated process which shares the kernel with the host operating system, so it's much more lightweight than a
full virtual machine. This is really powerful, because it means that developers can easily ship applications with all of
their dependencies. However, there are also some potential drawbacks that you should definitely be aware of, especially
if you're planning to use this approach at scale!

Next, we'll create a new configuration file in the root of our project and add the following options to it. As you can
see, we're simply telling the tool which base image we'd like to use, and then we're copying our source code into it.
Finally, we're exposing the port so that our users are able to access the application from their browser. Pretty cool,
right? If you've enjoyed this tutorial, please consider subscribing to my newsletter and sharing it with your friends!
"""
"""A draft that nobody would take for Mira's or for an essay."""
