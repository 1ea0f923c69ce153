"""Finding an article in a web page, and taking the page's boilerplate out of it, by structure.

The element that holds the article is found by where the prose is: paragraphs weighed by their text outside links. What
is taken out of it are parts that are not prose (controls, navigation, hidden text, blocks of links) or that the page
itself marks as something else (comments, share bars, related posts). A name alone never decides: a part with such a
name also has to look like it, and what holds much of the prose, or is code or a quote, is never taken out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lxml.html import HtmlElement, fromstring

from twin_resources.text.markup import has_class, text_of
from twin_resources.text.widgets import ON_PAGES
from twin_resources.text.words import plain_words

_SILENT = ("script", "style", "template", "svg", "canvas", "object", "embed", "head", "link", "meta", "dialog", "map")
_CONTROLS = ("button", "input", "select", "textarea", "option", "datalist", "fieldset", "audio", "video", "iframe")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BLOCKS = frozenset((
    *_HEADINGS, "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "li", "main", "nav", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
_KEPT_WHOLE = frozenset(("pre", "code", "blockquote", "table", "math"))
_CONTENT = (
    "//*[contains(concat(' ', @itemprop, ' '), ' articleBody ')]",
    *(
        f"//*[{has_class(name)}]"
        for name in ("e-content", "entry-content", "post-content", "gh-content", "article-body", "markdown-body")
    ),
    "//article",
    "//main | //*[@role='main']",
)
"""Where an article usually is: schema.org, microformats2 and the class names of the common engines, then HTML's own."""
_OTHER = re.compile(
    r"^(?:comments?|respond|replies|responses|disqus|discourse|related|recommend(?:ed|ations)?|newsletter|subscribe|"
    r"subscription|signup|share|sharing|sharedaddy|social|breadcrumbs?|pagination|pager|paginate|cookies?|consent|"
    r"sidebar|widget|promo|ads?|advert|advertisement|sponsored|byline|bio|postmeta|metadata|meta|tags|taglist|toc|"
    r"login|signin|paywall|banner|popup|modal|menu|nav|navigation|reactions?|claps|follow|bookmark|skip|ufi|print|"
    r"toolbar|masthead|colophon|readnext|more|upsell|cta|likes?|author|avatar|jp|metabar|footer|copyright)$"
)
_OTHERS_WORDS = re.compile(r"^(?:comments?|respond|replies|responses|disqus|discourse|related|recommend\w*|sidebar)$")
_HIDDEN = re.compile(
    r"(?:^|[\s_-])(?:sr-only|visually-?hidden|screen-reader(?:-text)?|hide-text|u-hidden|is-hidden)(?:$|[\s_-])", re.I
)
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_ANCHOR = re.compile(r"^[\s#¶§🔗∞⌗]*$|^(?:permalink|link to (?:this )?(?:heading|section|header).*)$", re.I)
_SENTENCE = re.compile(r"(?:\w+[^\w.!?…。]+){6,}\w+[”\"')\]]*[.!?…:。]", re.S)
_EDGE = re.compile(
    r"^(?:by|written by|published(?: in| on)?|posted(?: by| on| in)?|(?:last )?updated(?: on)?|follow(?:ing)?|listen|"
    r"like|comment|share|save|subscribe|sign (?:in|up)|member-only story|open in app|top highlight|"
    r"\d+ (?:min|minute)s?(?: read)?|\d+ (?:claps?|likes?|comments?|responses?|views?|shares?)|"
    r"\d+ (?:hr|hour|min|day|week|month|year)s? ago|[·•|∙,–—-]|\d{1,6}|\+ ?follow)$",
    re.I,
)
_NO_HEAD = (
    "descendant-or-self::*[self::h1 or self::h2 or self::h3 or self::figure or self::pre]"
    " | descendant-or-self::*[contains(@class, 'subtitle')]"
)
_READING = re.compile(r"^\d+ min(?:ute)?s?(?: read)?$", re.I)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATED = re.compile(
    r"^(?:on |published |posted |updated |last updated )*(?:(?:mon|tue|wed|thu|fri|sat|sun)\w*,? )?"
    rf"(?:{_MONTH} {_DAY}(?:,? \d{{4}})?|{_DAY} (?:of )?{_MONTH}(?:,? \d{{4}})?|\d{{4}}-\d\d-\d\d|"
    r"\d{1,2}[./]\d{1,2}[./]\d{2,4})(?:[, ]+(?:at )?\d{1,2}:\d\d.{0,12})?$",
    re.I,
)
_ASIDE = frozenset(("card", "author", "byline", "bio", "dialog", "modal", "popup", "share", "comment", "comments"))
"""Names of boxes whose subtitle is not the article's."""
_SUBTITLE = re.compile(r"(?:^|[-_])(?:subtitle|standfirst|dek|deck|lede)$")


def find_body(
    page: HtmlElement, *, title: str | None, subtitle: str | None, names: Iterable[str] = (), reference: str = ""
) -> HtmlElement | None:
    """The element that holds the article, cleaned; None where the page has no prose. Changes ``page``.

    Args:
        title, subtitle: as the page's own data gives them. A heading that repeats the title is left out; a subtitle
            shown above the article is put in front of it.
        names: people the page names as authors; a line at the edge of the article with only such a name goes.
        reference: the article's text as the page's data gives it (JSON-LD ``articleBody``), to choose by.
    """
    _drop_silent(page)
    root = page.find("body") if page.find("body") is not None else page
    standfirst = _standfirst(root, subtitle)
    best = _chosen(root, reference)
    if best is None:
        return None
    clean(best, title=title, names=names)
    if standfirst and not _holds(best, standfirst):
        paragraph = fromstring("<p></p>")
        paragraph.text = standfirst
        best.text, paragraph.tail = None, best.text
        best.insert(0, paragraph)
    return best if text_of(best) else None


def clean(body: HtmlElement, *, title: str | None = None, names: Iterable[str] = ()) -> HtmlElement:
    """``body`` without boilerplate; changed in place."""
    _drop_silent(body)
    total = _prose(body) or 1
    _drop(body, _is_widget)
    _drop(body, _is_hidden)
    _drop(body, lambda part: _is_boilerplate(part, total))
    for header in body.xpath("descendant::header[not(ancestor::blockquote or ancestor::figure)]"):
        for leaf in list(_leaves(header)):
            if leaf.tag in ("div", "li", *_HEADINGS) and not _is_subtitle(leaf):
                leaf.drop_tree()
        header.drop_tag()
    for anchor in body.xpath(".//h1//a | .//h2//a | .//h3//a | .//h4//a | .//h5//a | .//h6//a"):
        if _ANCHOR.match(text_of(anchor)):
            anchor.drop_tree()
    for heading in body.xpath(".//h1 | .//h2 | .//h3 | .//*[@role='heading']"):
        if title and plain_words(text_of(heading)) == plain_words(title) and _is_opening(body, heading):
            heading.drop_tree()
            break
    _shorten_cards(body)
    _drop_closing_headings(body)
    _drop_heads(body, len(plain_words(text_of(body))))
    _drop_edges(body, title, {" ".join(plain_words(name)) for name in names})
    return body


def embedded(body: HtmlElement) -> list[str]:
    """Addresses of other people's posts that are embedded in ``body``, before :func:`clean` takes them out."""
    found: list[str] = []
    for part in body.iter("div", "blockquote"):
        if any(name in ("tweet", "twitter-tweet", "embedded-post", "digest-post-embed") for name in _classes(part)):
            links = [str(link) for link in part.xpath(".//a/@href") if str(link).startswith("http")]
            match = re.search(r'"(?:url|canonical_url)":"(https?://[^"]+)"', str(part.get("data-attrs") or ""))
            found.extend([match.group(1)] if match else links[-1:])
    return list(dict.fromkeys(found))


def _chosen(root: HtmlElement, reference: str) -> HtmlElement | None:
    inside = "ancestor::article or ancestor::main or ancestor::*[@role='main']"
    around = root.xpath(f"descendant::*[self::footer or self::nav or self::aside][not({inside})]")
    total = max(0.0, _prose(root) - sum(_prose(part) for part in around))
    wanted = plain_words(reference)
    candidates = []
    for xpath in _CONTENT:
        found = [(part, _prose(part)) for part in root.xpath(xpath) if not _within_othersplain_words(part, 0.5 * total)]
        found = [(part, weight) for part, weight in found if weight or text_of(part)]
        if not found:
            continue
        part, weight = max(found, key=lambda pair: pair[1])
        candidates.append(part)
        if len(wanted) < 80 and weight >= 0.4 * total:
            return _descend(part)
    if not text_of(root):
        return None
    dense = _descend(root)
    if len(wanted) < 80:
        return max([dense, *candidates], key=lambda part: _prose(part) ** 2 / max(1.0, _prose(part) + _links(part)))
    best = max([*candidates, dense], key=lambda part: _overlap(part, wanted))
    while True:
        inner = max((child for child in best if isinstance(child.tag, str)), key=lambda part: _overlap(part, wanted))
        if not len(inner) or _overlap(inner, wanted) <= _overlap(best, wanted):
            return best
        best = inner


def _descend(part: HtmlElement) -> HtmlElement:
    """The innermost element below ``part`` that still holds all of its prose that is not marked as something else."""
    while True:
        weights = [(child, _prose(child)) for child in part if isinstance(child.tag, str)]
        inner, weight = max(weights, key=lambda pair: pair[1], default=(None, 0.0))
        if inner is None or inner.tag in ("p", "pre", "blockquote", "ul", "ol", "table", "figure", "dl"):
            return part
        others = [child for child, other in weights if child is not inner and other]
        own = (part.text or "") + "".join(child.tail or "" for child in part)
        if own.strip() or not weight or any(not _is_other(child) for child in others):
            return part
        part = inner


def _is_other(part: HtmlElement) -> bool:
    return (
        part.tag in ("nav", "aside", "footer", "header", "form")
        or any(_OTHER.match(token) for token in _tokens(part))
        or _link_share(part) > 0.5
    )


def _standfirst(root: HtmlElement, subtitle: str | None) -> str | None:
    """The subtitle as the page shows it, where it does."""
    wanted = plain_words(subtitle or "")
    for part in root.iter("h1", "h2", "h3", "h4", "p", "div"):
        shown = _is_subtitle(part)
        if (shown or part.tag != "div") and not any(child.tag in _BLOCKS for child in part if child.tag is not None):
            text = text_of(part)
            if text and ((wanted and plain_words(text) == wanted) or (shown and len(plain_words(text)) >= 3)):
                return text
    for header in root.iter("header"):
        if header.find(".//h1") is not None and not _within_othersplain_words(header, 0):
            lines = [text_of(line) for line in header.iter("p") if not line.xpath(".//time | .//*[@rel='author']")]
            found = [line for line in lines if _SENTENCE.search(line)]
            if found:
                return " ".join(found)
    return None


def _drop_silent(root: HtmlElement) -> None:
    for part in list(root.iter()):
        if not isinstance(part.tag, str):
            _remove(part)
    for part in root.xpath(".//noscript"):
        if part.getparent() is not None:
            _remove(part)
    for tag in (*_SILENT, *_CONTROLS):
        for part in list(root.iter(tag)):
            if part is not root and part.getparent() is not None and not (tag == "svg" and part.xpath(".//text()[0]")):
                if tag == "fieldset" and _prose(part):
                    part.drop_tag()
                else:
                    _remove(part)
    for form in list(root.iter("form")):
        if form is not root and form.getparent() is not None:
            if _SENTENCE.search(text_of(form)) and len(form.findall(".//p")) > 2:
                form.drop_tag()
            else:
                _remove(form)


def _drop(body: HtmlElement, condition: Callable[[HtmlElement], bool]) -> None:
    for part in list(body.iterdescendants()):
        if isinstance(part.tag, str) and _is_below(part, body) and condition(part):
            _remove(part)


def _is_below(part: HtmlElement, body: HtmlElement) -> bool:
    return any(above is body for above in part.iterancestors())


def _remove(part: Any) -> None:
    parent = part.getparent()
    if parent is None:
        return
    if isinstance(part.tag, str):
        part.drop_tree()
        return
    tail, before = part.tail or "", part.getprevious()
    parent.remove(part)
    if tail:
        if before is None:
            parent.text = (parent.text or "") + tail
        else:
            before.tail = (before.tail or "") + tail


def _is_widget(part: HtmlElement) -> bool:
    return any(ON_PAGES.match(name) for name in _classes(part)) and part.tag not in ("html", "body", "article", "main")


def _is_hidden(part: HtmlElement) -> bool:
    if part.get("hidden") is not None or _INVISIBLE.search(part.get("style") or ""):
        return True
    if part.get("aria-hidden") == "true" and part.tag not in _BLOCKS | {"math", "img"}:
        return True
    return bool(_HIDDEN.search(part.get("class") or ""))


def _is_boilerplate(part: HtmlElement, total: float) -> bool:
    if part.tag not in _BLOCKS and part.tag not in ("a", "span", "time", "small"):
        return False
    if part.tag in _KEPT_WHOLE or any(above.tag in _KEPT_WHOLE for above in part.iterancestors()):
        return False
    return _looks_like_boilerplate(part) and not _is_footnotes(part) and _prose(part) <= 0.35 * total


def _looks_like_boilerplate(part: HtmlElement) -> bool:
    sentences = bool(_SENTENCE.search(text_of(part)))
    if part.tag == "nav" or part.get("role") in ("navigation", "search", "banner", "contentinfo", "toolbar"):
        return True
    if part.tag in ("aside", "footer", "header") or part.get("role") == "complementary":
        quoted = any(above.tag in ("blockquote", "figure") for above in part.iterancestors())
        if part.tag == "header":
            return not sentences and not quoted
        if part.tag == "footer":
            return not quoted
        return not sentences or _link_share(part) > 0.4
    tokens = _tokens(part)
    if part.tag in ("h1", "h2", "h3", "h4", "h5", "h6", "p", "li", "a", "span", "small", "time"):
        return part.tag in ("p", "a", "span") and not sentences and bool(tokens & _CERTAIN)
    if "Comment" in (part.get("itemtype") or "") or any(_OTHERS_WORDS.match(token) for token in tokens):
        return not _is_named_by_heading(part)
    if any(_OTHER.match(token) for token in tokens):
        return (not sentences or _link_share(part) > 0.35) and not _is_named_by_heading(part)
    return part.tag in ("ul", "ol", "div") and _is_cards(part)


_CERTAIN = frozenset(
    ("share", "sharing", "social", "newsletter", "subscribe", "byline", "meta", "tags", "breadcrumbs", "postmeta")
)


def _is_cards(part: HtmlElement) -> bool:
    """Whether every child is one link around several blocks, an image or a date: previews of other pages."""
    children = [child for child in part if isinstance(child.tag, str)]
    if len(children) < 2 or (part.text or "").strip():
        return False
    for child in children:
        links = child.xpath("descendant-or-self::a[@href]")
        if len(links) == 0 or _link_share(child) < 0.6 or not child.xpath(".//img | .//time | .//h2 | .//h3 | .//h4"):
            return False
    return True


def _is_note(part: HtmlElement) -> bool:
    """Whether an element calls itself a footnote, or what holds them."""
    if part.get("role") in ("doc-endnotes", "doc-endnote", "doc-footnote", "note"):
        return True
    return "footnote" in (part.get("class") or "").lower() or (part.get("id") or "").startswith("fn")


def _is_footnotes(part: HtmlElement) -> bool:
    return any(_is_note(inner) for inner in part.iter() if isinstance(inner.tag, str))


def _is_named_by_heading(part: HtmlElement) -> bool:
    """Whether the part's id only repeats its own heading: a section of the text about comments, tags or metadata."""
    heading = next((child for child in part.iter("h1", "h2", "h3", "h4") if text_of(child)), None)
    identifier = part.get("id") or ""
    slug = "-".join(plain_words(text_of(heading))) if heading is not None else ""
    return bool(slug) and not part.get("class") and identifier.lower().strip("-_") == slug


def _shorten_cards(body: HtmlElement) -> None:
    """Leave of a link around several blocks, a preview of another page, the link with its first line."""
    for link in body.xpath("descendant::a[@href]"):
        lines = [text_of(leaf) for leaf in _leaves(link)]
        if len(lines) > 1 and _is_below(link, body):
            for child in list(link):
                link.remove(child)
            link.text = lines[0]


def _drop_heads(body: HtmlElement, total: int) -> None:
    """The boxes before the first sentence that say who wrote it, when, and how long it takes to read."""
    leaves = list(_leaves(body))
    first = next((i for i, leaf in enumerate(leaves) if _SENTENCE.search(text_of(leaf))), len(leaves))
    for leaf in leaves[:first]:
        if not any(_DATED.match(line) or _READING.match(line) for line in _spaced(leaf).split(" | ")):
            continue
        box = None
        for above in leaf.iterancestors():
            words = len(plain_words(text_of(above)))
            if above is body or words > 25 or 3 * words > total or above.xpath(_NO_HEAD):
                break
            box = above
        if box is not None and _is_below(box, body):
            box.drop_tree()


def _drop_edges(body: HtmlElement, title: str | None, names: set[str]) -> None:
    """Lines before the first and after the last sentence that hold a name, a date or a count and nothing else."""
    leaves = list(_leaves(body))
    first = next((i for i, leaf in enumerate(leaves) if _SENTENCE.search(text_of(leaf))), len(leaves))
    last = next((i for i in reversed(range(len(leaves))) if _SENTENCE.search(text_of(leaves[i]))), -1)
    wanted = plain_words(title or "")
    for index, leaf in enumerate(leaves):
        if first <= index <= last or leaf.tag in ("pre", "figcaption", "td", "th", "li"):
            continue
        if any(_is_note(near) for near in (leaf, *leaf.iterancestors())):
            continue
        text = text_of(leaf)
        words = plain_words(text)
        pieces = [piece.strip() for piece in re.split(r"[·•|∙]|(?<=\w) ?— ?(?=\d)", _spaced(leaf)) if piece.strip()]
        edge = all(_is_edge(piece, names) for piece in pieces) and len(words) < 30
        if edge or (index < first and wanted and words == wanted):
            leaf.drop_tree()


def _drop_closing_headings(body: HtmlElement) -> None:
    """The heading of comments or of related posts, once these are gone."""
    for leaf in reversed(list(_leaves(body))):
        if leaf.tag not in _HEADINGS or not any(_OTHER.match(word) for word in plain_words(text_of(leaf))):
            return
        leaf.drop_tree()


def _is_edge(piece: str, names: set[str]) -> bool:
    piece = " ".join(piece.split())
    if _EDGE.match(piece) or _DATED.match(piece):
        return True
    key = " ".join(plain_words(re.sub(r"^(?:written |posted )?by ", "", piece, flags=re.I)))
    key = re.sub(r" follow$", "", key)
    return bool(key) and key in names


def _spaced(part: HtmlElement) -> str:
    """The text of a line, with a divider where one element ends and another begins."""
    return " | ".join(" ".join(str(text).split()) for text in part.itertext() if str(text).strip())


def _is_opening(body: HtmlElement, heading: HtmlElement) -> bool:
    for leaf in _leaves(body):
        if leaf is heading or heading in leaf.iterancestors():
            return True
        if _SENTENCE.search(text_of(leaf)):
            return False
    return True


def _is_subtitle(part: HtmlElement) -> bool:
    if not any(_SUBTITLE.search(name) for name in _classes(part)):
        return False
    return not any(_tokens(near) & _ASIDE for near in (part, *part.iterancestors()))


def _leaves(body: HtmlElement) -> Iterator[HtmlElement]:
    """Elements with text that are a line of their own: blocks without a block inside, and what stands beside blocks."""
    holders = {above for block in body.iter(*_BLOCKS) if block is not body for above in block.iterancestors()}
    for part in body.iter():
        if part is body or not isinstance(part.tag, str) or part in holders:
            continue
        parent = part.getparent()
        if (part.tag in _BLOCKS or (parent in holders and parent is not None)) and text_of(part):
            yield part


def _within_othersplain_words(part: HtmlElement, most: float) -> bool:
    """Whether ``part`` stands in comments, a sidebar or the like; what holds ``most`` of the prose is no such thing."""
    for above in (part, *part.iterancestors()):
        named = above.tag in ("aside", "footer", "nav") or any(_OTHERS_WORDS.match(token) for token in _tokens(above))
        if named and _prose(above) < most:
            return True
    return False


def _prose(part: HtmlElement) -> float:
    """Characters of text outside links in the paragraphs, lists, quotes and code below ``part``."""
    weight = 0.0
    for block in part.iter("p", "pre", "blockquote", "li", "td", "dd", "h2", "h3", "h4", "div", "section", "span"):
        if block.tag in ("div", "section", "span"):
            direct = len(" ".join([block.text or "", *(child.tail or "" for child in block)]).split())
            weight += 5 * direct if direct >= 8 else 0
        elif not any(above.tag in ("p", "pre", "li", "td", "dd") for above in block.iterancestors()):
            text = len(text_of(block))
            weight += max(0, text - sum(len(text_of(link)) for link in block.iter("a"))) if text > 20 else 0
    return weight


def _links(part: HtmlElement) -> int:
    return sum(len(text_of(link)) for link in part.iter("a"))


def _link_share(part: HtmlElement) -> float:
    return _links(part) / max(1, len(text_of(part)))


def _overlap(part: HtmlElement, wanted: list[str]) -> float:
    found = plain_words(text_of(part))
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / max(1, len(found) + len(wanted))


def _holds(body: HtmlElement, text: str) -> bool:
    return " ".join(plain_words(text)) in " ".join(plain_words(text_of(body)[: 4 * len(text) + 2000]))


def _classes(part: HtmlElement) -> list[str]:
    return str(part.get("class") or "").split()


def _tokens(part: HtmlElement) -> set[str]:
    """The words in the class names, the id and the test name of an element; names of a state are none."""
    named = " ".join(part.get(key) or "" for key in ("class", "id", "data-testid", "data-component-name", "role"))
    named = re.sub(r"(?:^|(?<=\s))(?:is|has|no|js|with|show)[-_]\S+", "", named)
    return {token.lower() for token in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", named)}
