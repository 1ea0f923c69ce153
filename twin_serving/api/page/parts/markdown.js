// A safe part of Markdown: paragraphs, headings, lists, quotes, tables as they stand, fences, inline code, bold, italics,
// links, and the markers of citations.

import { link, make } from "./elements.js";

const INLINE = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*|!?\[([^\]\n]*)\]\(([^()\s]+)[^()\n]*\)|\s?\[(\d{1,3})\]/g;

// Renders `text` into `target`; `cite` gives the node of a marker by its number, null where it is no marker.
export function render(target, text, cite = () => null) {
  const nodes = [];
  const lines = text.split("\n");
  let list = null;
  let paragraph = [];
  const flush = () => {
    if (paragraph.length) nodes.push(make("p", {}, ...inline(paragraph.join("\n"), cite)));
    paragraph = [];
    list = null;
  };
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index];
    if (/^\s*```/.test(line)) {
      flush();
      const code = [];
      while (++index < lines.length && !/^\s*```/.test(lines[index])) code.push(lines[index]);
      nodes.push(make("pre", {}, make("code", {}, code.join("\n"))));
      continue;
    }
    if (/^\s*\|/.test(line)) {
      flush();
      const rows = [line];
      while (/^\s*\|/.test(lines[index + 1] ?? "")) rows.push(lines[++index]);
      nodes.push(make("pre", {}, rows.join("\n")));
      continue;
    }
    const heading = line.match(/^#{1,6}\s+(.+)/);
    const item = line.match(/^\s*(?:([-*•])|(\d+)[.)])\s+(.+)/);
    const quoted = line.match(/^>\s?(.*)/);
    if (heading) {
      flush();
      nodes.push(make("h3", {}, ...inline(heading[1], cite)));
    } else if (item) {
      const tag = item[1] ? "ul" : "ol";
      if (!list || list.localName !== tag) {
        flush();
        list = make(tag, { start: item[2] });
        nodes.push(list);
      }
      list.append(make("li", {}, ...inline(item[3], cite)));
    } else if (quoted) {
      flush();
      nodes.push(make("blockquote", {}, ...inline(quoted[1], cite)));
    } else if (!line.trim()) {
      flush();
    } else {
      list = null;
      paragraph.push(line);
    }
  }
  flush();
  target.replaceChildren(...nodes);
}

function inline(text, cite) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [all, code, bold, italic, label, url, number] = match;
    const marker = number && cite(Number(number));
    if (number && !marker) continue;
    nodes.push(document.createTextNode(text.slice(end, match.index)));
    if (code) nodes.push(make("code", {}, code));
    else if (bold) nodes.push(make("strong", {}, bold));
    else if (italic) nodes.push(make("em", {}, italic));
    else if (url) nodes.push(all.startsWith("!") ? document.createTextNode(label) : link(url, {}, label || url));
    else nodes.push(marker);
    end = match.index + all.length;
  }
  nodes.push(document.createTextNode(text.slice(end)));
  return nodes;
}
