"""Class names of what platforms put between an author's paragraphs: boxes to sign up, buttons, other people's posts.

A page that is read and an export's own HTML hold the same things; which of them the reader of pages or the cleaning
takes out, and what it keeps of them, is said with each pattern.
"""

from __future__ import annotations

import re

_EMBEDDED = ("tweet", "twitter-tweet", "instagram-media", "embedded-post", "comment-embed", "note-embed")
_BOXES = (
    "subscription-widget", "subscribe-widget", "button-wrapper", "captioned-button", "image-link-expand",
    "digest-post-embed", "community-chat", "poll-embed", "paywall-jump", "footnote-hovercard", "js-mixtapeImage",
)  # fmt: skip
"""By how the name begins: boxes to sign up or buy, buttons, previews of other pages."""
_BOXES_OF_EXPORTS = ("share-dialog", "post-ufi", "tweet-footer", "tweet-ufi", "preformatted-label")
_STAMPS_OF_EXPORTS = ("created", "published")
_ON_PAGES = (
    "twitter-embed", "instagram", "tiktok-embed", "embedded-post-wrap", "embedded-publication(?:-wrap)?",
    "install-substack-app-embed", "install-substack-app-app-link", "apple-podcast-container", "youtube-wrap", "paywall",
    "directMessage", "header-anchor-parent", "header-anchor-widget.*", "mixtapeImage", "wp-embedded-content",
    "sharedaddy", "jp-relatedposts", "addtoany_.*", "kg-(?:bookmark|signup|product|cta|header|button)-card",
    "wp-block-buttons", "wp-block-embed", "crayons-article__actions", "ltag__.*", "ellipsis-menu",
    # line numbers and the doubles of formulas
    "highlighter", "gutter", "line-numbers-rows", "lineno", "linenos", "rouge-gutter", "hljs-ln-numbers",
    "MathJax_Preview", "katex-html", "mw-editsection",
)  # fmt: skip


def _begins(*names: str) -> str:
    return f"(?:{'|'.join(names)}).*"


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile(f"^(?:{'|'.join(patterns)})$")


EMBEDDED_POSTS = _any_of(*_EMBEDDED)
"""Posts of other people: quotes in an export, so that nobody takes them for the author's words; on a page left out, and
their addresses kept."""
IN_EXPORTS = _any_of(*_STAMPS_OF_EXPORTS, _begins(*_BOXES, *_BOXES_OF_EXPORTS))
"""What cleaning takes out of HTML."""
ON_PAGES = _any_of(*_EMBEDDED, *_ON_PAGES, _begins(*_BOXES))
"""What is taken out of a web page around and inside its article."""
