"""Where the definitions of a source file begin, by its syntax (tree-sitter).

The grammars are compiled into their wheels; nothing is fetched. A file that does not parse whole still has the
definitions that do.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "java": ("tree_sitter_java", "language"),
    "kotlin": ("tree_sitter_kotlin", "language"),
    "csharp": ("tree_sitter_c_sharp", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "ruby": ("tree_sitter_ruby", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "cuda": ("tree_sitter_cpp", "language"),
    "shell": ("tree_sitter_bash", "language"),
}
_LEAVES = frozenset((
    "function_definition", "function_declaration", "generator_function_declaration", "function_item", "method",
    "method_declaration", "method_definition", "singleton_method", "constructor_declaration", "macro_definition",
    "type_alias_declaration", "type_declaration", "type_definition", "type_item", "preproc_function_def",
    "property_declaration", "operator_declaration", "destructor_declaration", "delegate_declaration",
))  # fmt: skip
_HOLDERS = frozenset((
    "class_definition", "class_declaration", "abstract_class_declaration", "class_specifier", "struct_specifier",
    "union_specifier", "enum_specifier", "class", "module", "internal_module", "namespace_definition",
    "namespace_declaration", "file_scoped_namespace_declaration", "interface_declaration", "enum_declaration",
    "record_declaration", "struct_declaration", "annotation_type_declaration", "trait_declaration", "struct_item",
    "enum_item", "union_item", "trait_item", "impl_item", "mod_item", "object_declaration", "companion_object",
))  # fmt: skip
_WRAPPERS = frozenset(("decorated_definition", "export_statement", "template_declaration", "ambient_declaration"))
_TRANSPARENT = frozenset(("linkage_specification", "preproc_ifdef", "preproc_if", "preproc_else", "declaration_list"))
_BODIES = frozenset((
    "block", "class_body", "interface_body", "statement_block", "body_statement", "declaration_list",
    "field_declaration_list", "enum_body", "enum_class_body", "enum_body_declarations",
))  # fmt: skip
_LEADING = frozenset(
    ("comment", "line_comment", "block_comment", "attribute_item", "attribute_list", "multiline_comment")
)
_ASSIGNED = frozenset(("arrow_function", "function_expression", "function", "class", "generator_function"))
_NAMES = frozenset(
    ("identifier", "type_identifier", "simple_identifier", "constant", "word", "field_identifier", "name")
)

Cut = tuple[int, tuple[str, ...]]


def knows(language: str | None) -> bool:
    """Whether there is a grammar for ``language``, named as in :mod:`twin_resources.sources.github`."""
    return language in _GRAMMARS


def definitions(text: str, language: str, path: str = "") -> list[Cut]:
    """Lines, counted from 0, at which a definition or what follows one begins, each with the path of its symbol.

    The comments, attributes and decorators in front of a definition belong to it. What stands outside of every
    definition has the path of what it stands in, the empty one at the top.
    """
    if language == "typescript" and path.lower().endswith(".tsx"):
        language = "tsx"
    tree = _parser(language).parse(text.encode("utf-8", "surrogatepass"))
    found: dict[int, tuple[str, ...]] = {}
    for line, symbol in _visit(tree.root_node, ()):
        found.setdefault(line, symbol)
    return sorted(found.items())


@functools.cache
def _parser(language: str) -> Parser:
    from tree_sitter import Language, Parser

    module, function = _GRAMMARS[language]
    return Parser(Language(getattr(importlib.import_module(module), function)()))


def _visit(scope: Node, symbol: tuple[str, ...], before: Sequence[Node] = ()) -> Iterator[Cut]:
    after, lead, end = False, None, -1
    for child in (*before, *scope.children):
        start = child.start_point.row
        if child.type in _LEADING:
            if start > end or lead is not None:
                lead = start if lead is None or start > end + 1 else lead
                end = child.end_point.row - (child.end_point.column == 0)
            continue
        opens = lead if lead is not None and start <= end + 1 else start
        node = _unwrapped(child)
        name = _name(node)
        if name:
            yield opens, (*symbol, *name)
            if node.type in _HOLDERS:
                yield from _inside(node, (*symbol, *name))
            after = True
        elif node.type in _TRANSPARENT:
            yield from _inside(node, symbol)
            after = True
        elif after and child.is_named and start > end:
            yield opens, symbol
            after = False
        lead, end = None, child.end_point.row


def _inside(node: Node, symbol: tuple[str, ...]) -> Iterator[Cut]:
    body = node.child_by_field_name("body") or next((child for child in node.children if child.type in _BODIES), None)
    if body is None or body.type not in _BODIES:
        yield from _visit(node, symbol)
    else:  # Ruby's first comment stands in front of the body, not in it
        before = [child for child in node.children if child.type in _LEADING and child.end_byte <= body.start_byte]
        yield from _visit(body, symbol, before)


def _unwrapped(node: Node) -> Node:
    """The definition inside ``export``, decorators, templates or a statement of its own."""
    while node.type in _WRAPPERS or (node.type == "expression_statement" and node.named_child_count == 1):
        inner = (
            node.child_by_field_name("definition")
            or node.child_by_field_name("declaration")
            or (node.named_children[-1] if node.named_children else None)
        )
        if inner is None or (node.type == "expression_statement" and inner.type != "internal_module"):
            return node
        node = inner
    return node


def _name(node: Node) -> tuple[str, ...]:
    """The name of a definition, with the type a method is attached to; empty for everything else."""
    if node.type in ("lexical_declaration", "variable_declaration"):
        for declarator in node.named_children:
            value = declarator.child_by_field_name("value")
            if value is not None and value.type in _ASSIGNED:
                return _parts(declarator.child_by_field_name("name"))
        return ()
    if node.type not in _LEAVES and node.type not in _HOLDERS:
        return ()
    if node.type.endswith("_specifier") and node.child_by_field_name("body") is None:
        return ()
    if node.type == "type_declaration":
        inner = node.named_children[0] if node.named_children else None
        return _parts(inner.child_by_field_name("name")) if inner is not None else ()
    name = node.child_by_field_name("name")
    if name is None and node.type == "impl_item":
        name = node.child_by_field_name("type")
    at: Node | None = node
    while name is None and at is not None:
        at = at.child_by_field_name("declarator")
        name = at if at is not None and at.child_by_field_name("declarator") is None else None
    if name is None:
        name = next((child for child in node.named_children if child.type in _NAMES), None)
    receiver = node.child_by_field_name("receiver")
    owner = re.search(r"(\w+)(?:\[[^\]]*\])?\s*\)$", _text(receiver)) if receiver is not None else None
    return (*((owner.group(1),) if owner else ()), *_parts(name))


def _parts(name: Node | None) -> tuple[str, ...]:
    text = " ".join(_text(name).split()) if name is not None else ""
    return tuple(part for part in re.split(r"::", text) if part)[:4] if len(text) <= 120 else ()


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", errors="replace")
