// Finding words in what is on the page, and wrapping them. Only letters and digits are compared: signs, white space and
// Markdown differ between an answer, what it quotes and how both are shown.

import { make } from "./elements.js";
import { render } from "./markdown.js";

const LETTERS = /[\p{L}\p{N}]/gu;
const LEAST_ALIKE = 0.4;
const squeezed = (text) => Array.from(text.matchAll(LETTERS), ([letter]) => letter.toLowerCase()).join("");

// Wraps each of `quotes` where it stands in `root`, in this order. Returns the wrappers of each, none where it was not
// found.
export function mark(root, quotes, wrap) {
  const index = indexed(root);
  let from = 0;
  const spans = quotes.map((quote) => {
    const span = find(index, quote, from) ?? find(index, quote, 0);
    if (span) from = span.end;
    return span;
  });
  const apart = [];
  for (const span of spans) if (span && !apart.some((other) => overlap(span, other))) apart.push(span);
  // From the last on, so that splitting a text moves no place that is still wanted.
  apart.sort((one, two) => two.start - one.start);
  for (const span of apart) span.made = wrapped(index, span, wrap);
  return spans.map((span) => (span ? apart.find((other) => overlap(span, other)).made : []));
}

const overlap = (one, two) => one.start < two.end && two.start < one.end;

// The sentence of `text` that shares most words with `quote`; null where none shares many.
export function nearest(text, quote) {
  const wanted = words(quote);
  let best = null;
  let most = LEAST_ALIKE;
  for (const sentence of text.split(/(?<=[.!?])\s+|\n+/)) {
    const held = words(sentence);
    const shared = [...held].filter((word) => wanted.has(word)).length;
    const alike = (2 * shared) / (held.size + wanted.size);
    if (alike >= most) [best, most] = [sentence, alike];
  }
  return best;
}

const words = (text) => new Set(text.toLowerCase().match(/[\p{L}\p{N}]{2,}/gu));

function indexed(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement.closest(".marker, .hidden") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
  );
  const nodes = [];
  const offsets = [];
  const letters = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    nodes.push({ node, start: offsets.length });
    for (const match of node.data.matchAll(LETTERS)) {
      for (const letter of match[0].toLowerCase().split("")) {
        letters.push(letter);
        offsets.push(match.index);
      }
    }
  }
  return { nodes, offsets, text: letters.join("") };
}

function find(index, quote, from) {
  const shown = make("div");
  render(shown, quote);
  for (const needle of [squeezed(shown.textContent), squeezed(quote)]) {
    const start = needle ? index.text.indexOf(needle, from) : -1;
    if (start >= 0) return { start, end: start + needle.length };
  }
  return null;
}

function wrapped(index, { start, end }, wrap) {
  const made = [];
  for (let each = index.nodes.length - 1; each >= 0; each--) {
    const { node, start: first } = index.nodes[each];
    const next = index.nodes[each + 1]?.start ?? index.offsets.length;
    const last = Math.min(end, next);
    const begin = Math.max(start, first);
    if (begin >= last) continue;
    let from = index.offsets[begin];
    let to = index.offsets[last - 1];
    to += String.fromCodePoint(node.data.codePointAt(to)).length;
    // The signs around belong to it: all where it goes on beyond this text, else those that touch its words.
    if (end > next) to = node.data.trimEnd().length;
    else to += node.data.slice(to).match(/^[^\p{L}\p{N}\s([{]*/u)[0].length;
    if (start < first) from = node.data.length - node.data.trimStart().length;
    else from -= node.data.slice(0, from).match(/[“"'(`*_]*$/)[0].length;
    const rest = node.splitText(from);
    rest.splitText(to - from);
    const wrapper = wrap();
    rest.replaceWith(wrapper);
    wrapper.append(rest);
    made.unshift(wrapper);
  }
  return made;
}
