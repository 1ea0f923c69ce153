// One turn: a question and its answer, with what it rests on, what it is worth, and what a reader may do with it.

import { call } from "../parts/api.js";
import { $, button, counted, link, make, shown } from "../parts/elements.js";
import { render } from "../parts/markdown.js";
import { mark } from "../parts/marking.js";
import { openDocument } from "../parts/reader.js";
import { showLineage } from "./lineage.js";

// Puts a question on the page, with room for its answer by the twin of `author`.
export function addTurn(question, author) {
  const turn = $("turn").content.cloneNode(true).firstElementChild;
  turn.querySelector(".asked").textContent = question;
  turn.querySelector(".by").textContent = author ? `${author.name} (twin)` : "Twin";
  $("turns").append(turn);
  return turn;
}

// --- what an answer rests on ---------------------------------------------------------------------------------------

// Opens the document of a citation, or one that comes near, with the words marked that the answer rests on.
function read(about, author) {
  const query = author ? `?author=${encodeURIComponent(author)}` : "";
  return openDocument(about, async () => (await call(`/documents/${encodeURIComponent(about.document_id)}${query}`)).json());
}

const opener = (about, author, attributes, ...children) =>
  button({ "aria-haspopup": "dialog", ...attributes }, () => read(about, author), ...children);

function marker(citation, author) {
  const label = `Source ${citation.marker}: ${citation.title}. Shows the passage.`;
  return opener(citation, author, { class: "marker", "aria-label": label }, String(citation.marker));
}

function card(citation, author) {
  return make(
    "article",
    { class: "card" },
    make(
      "h3",
      { class: "card-head" },
      make("span", { class: "number" }, String(citation.marker)),
      opener(citation, author, { class: "open" }, citation.title),
    ),
    make("blockquote", {}, citation.quote),
    make("div", { class: "from" }, make("span", { class: "platform" }, citation.platform), link(citation.url, {}, shown(citation.url))),
  );
}

// What an answer is worth, at a glance: its mode, the share of it that is supported, and on hover or opening why.
const MODES = {
  quote: { sign: "❝", name: "Quoted", says: (name) => `In ${name}'s own words` },
  generate: { sign: "✓", name: "Generated", says: (name) => `By a model, from what ${name} wrote` },
  write: { sign: "✎", name: "Written by the twin", says: (name) => `Not ${name}'s words` },
  silent: { sign: "–", name: "Silent", says: (name) => `${name} has not written about this` },
};

function worth(done, kind, name) {
  const { sign, name: label, says } = MODES[kind];
  const because = done.because || "No reason was given.";
  const badge = make(
    "details",
    { class: "why" },
    make(
      "summary",
      { class: "badge", title: because },
      make("span", { "aria-hidden": "true" }, sign),
      make("span", { class: "mode" }, label),
      make("span", { class: "hidden" }, `, because: ${because}`),
    ),
    make("p", { class: "because" }, `Because: ${because}`),
  );
  const parts = [badge, make("span", {}, says(name || "the author"))];
  if (done.support != null && kind !== "silent") parts.push(share(done));
  if (kind === "generate" || kind === "write") parts.push(make("code", {}, `${done.model.adapter ?? "base"} on ${short(done.model.base)}`));
  return parts;
}

const short = (base) => base.split("/").at(-1);

function share(done) {
  const supported = done.sentences.filter((each) => each.supported).length;
  const text = `${Math.round(100 * done.support)}% supported`;
  return make(
    "span",
    { class: "support", title: `${supported} of ${counted(done.sentences.length, "sentence")} say what a passage says` },
    make("meter", { min: 0, max: 1, value: done.support, "aria-hidden": "true" }),
    text,
  );
}

// Underlines the sentences that no passage supports, and says so to those who do not see it.
function showUnsupported(target, done) {
  const loose = done.sentences.filter((each) => !each.supported);
  const texts = loose.map((each) => each.text.replace(/\s?\[\d{1,3}(?:,\s?\d{1,3})*\]/g, ""));
  const wrapper = () => make("span", { class: "unsupported", title: "No passage supports this sentence" });
  for (const made of mark(target, texts, wrapper)) {
    made.at(-1)?.append(make("span", { class: "hidden" }, " (no passage supports this)"));
  }
  return loose.length;
}

// --- the whole answer ----------------------------------------------------------------------------------------------

// Shows an answer of `author`'s twin, just given or read again; one that is `shared` is only read.
export function finish(turn, done, author, { shared = false } = {}) {
  const find = (selector) => turn.querySelector(selector);
  const kind = done.abstained ? "silent" : done.mode;
  const byMarker = new Map(done.citations.map((citation) => [citation.marker, citation]));
  const cite = (number) => byMarker.has(number) && marker(byMarker.get(number), author?.id);
  turn.dataset.mode = kind;
  render(find(".text"), done.answer || "(The model wrote nothing.)", cite);
  find(".by").replaceChildren(...worth(done, kind, author?.name));
  if (soughtElse(turn, done)) {
    find(".sought").hidden = false;
    find(".sought").textContent = `Searched for: ${done.searched_for}`;
  }
  if (done.nearest.length) {
    find(".nearest").hidden = false;
    find(".nearest ul").replaceChildren(...done.nearest.map((near) => make("li", {}, opener(near, author?.id, { class: "open" }, near.title))));
  }
  if (done.citations.length) {
    find(".cards").hidden = false;
    find(".cards").replaceChildren(...done.citations.map((citation) => card(citation, author?.id)));
  }
  if (kind !== "silent") {
    const loose = showUnsupported(find(".text"), done);
    find(".loose").hidden = !loose && done.citations.length > 0;
    if (loose) find(".loose").textContent = `No passage supports ${loose} of ${counted(done.sentences.length, "sentence")} (underlined with dashes): the twin's own words, not a fact.`;
  }
  find("footer").hidden = false;
  find(".rate").hidden = shared;
  const day = done.at && make("time", { datetime: done.at }, new Date(done.at).toLocaleDateString(undefined, { dateStyle: "medium" }));
  const seconds = (done.timings_ms.total / 1000).toFixed(1);
  const tokens = done.usage.completion_tokens ? ` · ${done.usage.completion_tokens} tokens` : "";
  const took = `${seconds} s${tokens}${done.finish_reason === "length" ? " · cut at the limit" : ""}`;
  find(".took").replaceChildren(...(day ? [day, " · "] : []), took);
  find(".copy").addEventListener("click", () => copyLink(turn, done.trace_id));
  find(".where").addEventListener("click", () => showLineage(done.trace_id, kind));
  find(".up").addEventListener("click", () => rate(turn, done.trace_id, "up"));
  find(".down").addEventListener("click", () => {
    find(".correct").hidden = false;
    find(".correct textarea").focus();
  });
  find(".correct").addEventListener("submit", (event) => {
    event.preventDefault();
    rate(turn, done.trace_id, "down", find(".correct textarea").value.trim());
  });
  find(".cancel").addEventListener("click", () => rate(turn, done.trace_id, "down"));
}

// Whether something else was searched for than what was asked: a question that leans on the one before it, or one whose
// spelling was put right.
function soughtElse(turn, done) {
  const plain = (text) => text.trim().toLowerCase();
  return Boolean(done.searched_for) && plain(done.searched_for) !== plain(turn.querySelector(".asked").textContent);
}

async function copyLink(turn, trace) {
  const address = new URL(`/?trace=${encodeURIComponent(trace)}`, location.href).href;
  const told = turn.querySelector(".thanks");
  try {
    await navigator.clipboard.writeText(address);
    told.textContent = "The link to this answer is copied. Whoever may ask this twin can open it.";
  } catch {
    // Browsers keep the clipboard from pages that come over plain HTTP from another machine.
    told.replaceChildren("Copy this link: ", link(address, {}, address));
  }
}

async function rate(turn, trace_id, rating, correction = "") {
  const find = (selector) => turn.querySelector(selector);
  try {
    await call("/feedback", { method: "POST", body: JSON.stringify({ trace_id, rating, correction: correction || null }) });
    find(".up").setAttribute("aria-pressed", String(rating === "up"));
    find(".down").setAttribute("aria-pressed", String(rating === "down"));
    find(".correct").hidden = true;
    find(".thanks").textContent = correction ? "Thank you. The correction is kept for the next preference dataset." : "Thank you.";
  } catch (error) {
    find(".thanks").textContent = error.message;
  }
}
