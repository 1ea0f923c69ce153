// The panel that shows a document, with the words that an answer rests on marked in it.

import { $, link, make, muted, shown } from "./elements.js";
import { render } from "./markdown.js";
import { mark, nearest } from "./marking.js";

const BETWEEN_RUNS = " … ";
const PROSE = /\.(?:md|markdown|mdx|rst|txt|ipynb)$|\/readme$/i; // documents that stand beside the code of a repository
let latest = 0;

// `about`: what a citation or a near document says of it; `load`: gets the document, and throws with `status` 404 where
// it is no longer there.
export async function openDocument(about, load) {
  const mine = ++latest;
  $("reader-title").textContent = about.title;
  $("reader-facts").replaceChildren(...facts(about));
  $("reader-note").textContent = "Looking…";
  $("reader-text").replaceChildren();
  $("reader").showModal();
  try {
    const found = await load();
    if (mine !== latest || !$("reader").open) return;
    $("reader-title").textContent = found.title || about.title;
    $("reader-facts").replaceChildren(...facts(found));
    show(found, about.quote);
  } catch (error) {
    if (mine === latest) fail(about, error);
  }
}

function facts(found) {
  const day = found.published_at && new Date(found.published_at);
  const date = day && make("time", { datetime: found.published_at }, day.toLocaleDateString(undefined, { dateStyle: "long", timeZone: "UTC" }));
  const isWeb = /^https?:\/\//i.test(found.url);
  return [
    found.platform && make("span", { class: "platform" }, found.platform),
    date,
    isWeb ? link(found.url, {}, "Open the original") : muted(shown(found.url)),
  ].filter(Boolean);
}

function show(found, quote) {
  const target = $("reader-text");
  target.dataset.category = found.category;
  if (found.category === "code" && !PROSE.test(found.url)) target.replaceChildren(make("pre", {}, make("code", {}, found.text)));
  else render(target, found.text);
  $("reader-body").scrollTop = 0;
  $("reader-note").textContent = "";
  if (!quote) return;
  const wrapper = () => make("mark");
  const runs = mark(target, quote.split(BETWEEN_RUNS), wrapper);
  let note = "What the answer rests on is marked.";
  let marks = runs.flat();
  if (!marks.length) {
    const near = nearest(found.text, quote);
    marks = near ? mark(target, [near], wrapper).flat() : [];
    note = marks.length
      ? "These words do not stand here letter for letter; the sentence nearest to them is marked."
      : "These words do not stand in the document as it is now.";
  } else if (runs.some((run) => !run.length)) {
    note = "What the answer rests on is marked, as far as it stands in the document as it is now.";
  }
  $("reader-note").textContent = note;
  if (marks.length) {
    marks[0].tabIndex = -1;
    marks[0].focus({ preventScroll: true });
    marks[0].scrollIntoView({ block: "center" });
  }
}

function fail(about, error) {
  $("reader-note").textContent =
    error.status === 404 ? "This document is no longer there: it was forgotten, or it was taken away where it stood." : error.message;
  if (about.quote) $("reader-text").replaceChildren(make("p", {}, muted("The answer quoted:")), make("blockquote", {}, about.quote));
}

$("reader-close").addEventListener("click", () => $("reader").close());
$("reader").addEventListener("click", (event) => {
  if (event.target === $("reader")) $("reader").close();
});
