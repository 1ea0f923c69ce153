// The page for reviewing samples, by keyboard. Samples are data: all of them go on the page as text nodes.

import { askForKey, call, write } from "../parts/api.js";
import { $, button, counted, link, make, shown } from "../parts/elements.js";
import { openDocument } from "../parts/reader.js";

const FILTERS = ["split", "kind", "check", "state"];
const state = { samples: [], at: 0, more: false, matching: 0, loads: 0, loading: false };

// --- which samples ------------------------------------------------------------------------------------------------

async function load({ more = false } = {}) {
  const query = new URLSearchParams({ author: $("author").value });
  for (const name of FILTERS) if ($(name).value) query.set(name, $(name).value);
  if (more && state.samples.length) query.set("after", state.samples.at(-1).id);
  const mine = ++state.loads; // an answer that another filter has overtaken is let go
  state.loading = true;
  try {
    const found = await (await call(`/review/samples?${query}`)).json();
    if (mine !== state.loads) return;
    state.samples = more ? [...state.samples, ...found.samples] : found.samples;
    if (!more) state.at = 0;
    Object.assign(state, { more: found.more, matching: found.matching, version: found.version, next: found.next_version });
    offer("kind", found.kinds);
    offer("check", found.checks, { flagged: "any" });
    showProgress(found.progress);
    fail(null);
  } catch (error) {
    if (mine === state.loads) fail(error);
  } finally {
    if (mine === state.loads) state.loading = false;
  }
}

// The choices of a filter with how many samples each lets through; what is chosen stays.
function offer(id, counts, besides = {}) {
  const chosen = $(id).value;
  const options = [make("option", { value: "" }, "all"), ...Object.entries(besides).map(([value, text]) => make("option", { value }, text))];
  for (const name of Object.keys(counts).sort()) options.push(make("option", { value: name }, `${name} (${counts[name]})`));
  $(id).replaceChildren(...options);
  $(id).value = options.some((option) => option.value === chosen) ? chosen : "";
}

async function reload() {
  if (!$("author").value) return; // it is not known yet whose samples there are; `start` comes here once it is
  state.samples = [];
  $("sample").hidden = true;
  await load();
  if (!state.loading) show();
}

async function start() {
  try {
    const { authors } = await (await call("/authors")).json();
    $("author").replaceChildren(...authors.map((author) => make("option", { value: author.id }, author.name)));
    await reload();
  } catch (error) {
    fail(error);
  }
}

// --- one sample ---------------------------------------------------------------------------------------------------

const current = () => state.samples[state.at];

function show() {
  const sample = current();
  leaveEdit();
  $("sample").hidden = !sample;
  $("nothing").hidden = Boolean(sample) || !$("failure").hidden;
  if (!sample) {
    $("nothing").textContent = state.version ? "No sample is as these filters want it." : "There is no dataset version to review yet, or its files are gone; `twin run` makes one.";
    return;
  }
  $("sample").dataset.state = sample.state;
  $("place").textContent = `${state.at + 1} of ${state.matching} · ${sample.split} · ${sample.kind} · ${sample.category}`;
  $("verdict").textContent = verdict(sample);
  $("flags").replaceChildren(...sample.flags.map((flag) => make("li", {}, `${flag.check}: ${flag.reason}`)));
  if (sample.paraphrase_of) $("place").append(" · in other words");
  $("history").replaceChildren(...earlier(sample));
  $("instruction").textContent = sample.instruction;
  $("answer").textContent = sample.answer;
  $("passages").replaceChildren(...passages(sample));
  $("source").textContent = sample.source || "This passage is no longer there.";
  $("from").replaceChildren(
    link(sample.url, {}, shown(sample.url)),
    " · ",
    button({ class: "open", "aria-haspopup": "dialog" }, () => read(sample), "Read the document"),
  );
  showChange(sample);
  $("undo").hidden = !sample.review;
  $("previous").disabled = state.at === 0;
  $("next").disabled = state.at + 1 >= state.samples.length && !state.more;
}

function verdict(sample) {
  if (!sample.review) return "";
  const day = new Date(sample.review.at).toLocaleDateString(undefined, { dateStyle: "medium" });
  return `${sample.state} by ${sample.review.by}, ${day}`;
}

function passages(sample) {
  if (!sample.passages.length) return [];
  const cards = sample.passages.map((each, index) =>
    make(
      "div",
      { class: "passage", "data-right": each.right ? "" : null },
      make("h3", {}, `[${index + 1}] ${each.title}${each.right ? " (it answers)" : ""}`),
      make("div", { class: "words" }, each.text),
    ),
  );
  return [make("details", { open: "" }, make("summary", {}, `Shows ${counted(cards.length, "passage")}`), ...cards)];
}

// The turns that a sample goes on from; only what comes after them is learned.
function earlier(sample) {
  if (!sample.history.length) return [];
  const turns = sample.history.map((turn) =>
    make("div", { class: "turn" }, make("h3", {}, "Asked"), make("div", { class: "words" }, turn.instruction), make("h3", {}, "Answered"), make("div", { class: "words" }, turn.answer)),
  );
  return [make("details", { open: "" }, make("summary", {}, `Goes on from ${counted(turns.length, "earlier turn")}`), ...turns)];
}

// What the next version makes of an edit or a rejection.
function showChange(sample) {
  const edited = sample.review?.answer != null && sample.waits;
  $("change").hidden = !edited && !(sample.state === "rejected");
  $("changed").textContent = edited ? sample.review.answer : "";
  $("reasons").replaceChildren(...sample.reasons.map((reason) => make("li", {}, reason)));
  if (sample.state === "rejected") $("change-title").textContent = "Left out of the next version";
  else if (sample.reasons.length) $("change-title").textContent = "This edit will not be taken, and the sample will be left out; edit it again, or take it back";
  else $("change-title").textContent = "In the next version, unless it then repeats another sample";
}

function read(sample) {
  const about = { title: sample.url, url: sample.url, document_id: sample.document_id, quote: sample.passages.length ? sample.source : sample.answer };
  const query = `?author=${encodeURIComponent($("author").value)}`;
  return openDocument(about, async () => (await call(`/documents/${encodeURIComponent(sample.document_id)}${query}`)).json());
}

async function move(step) {
  if (step > 0 && state.at + 1 >= state.samples.length) {
    if (!state.more || state.loading) return;
    await load({ more: true });
  }
  state.at = Math.min(Math.max(state.at + step, 0), Math.max(state.samples.length - 1, 0));
  show();
  window.scrollTo(0, 0);
}

// --- deciding -----------------------------------------------------------------------------------------------------

async function decide(verdict, answer = null) {
  const sample = current();
  if (!sample) return;
  if (verdict === "accepted" || verdict === "rejected") move(1);
  try {
    const body = { author: $("author").value, verdict, answer };
    const done = await (await write(`/review/${encodeURIComponent(sample.id)}`, body)).json();
    state.samples = state.samples.map((each) => (each.id === sample.id ? done.sample : each));
    showProgress(done.progress);
    fail(null);
    if ($("edit").hidden || current()?.id === sample.id) show();
  } catch (error) {
    fail(error);
  }
}

function openEdit() {
  const sample = current();
  if (!sample) return;
  $("edit").hidden = false;
  $("edited").value = sample.review?.answer ?? sample.answer;
  $("edited").focus();
}

function leaveEdit() {
  $("edit").hidden = true;
  $("sample").focus({ preventScroll: true });
}

function showProgress(progress) {
  const share = progress.total ? progress.reviewed / progress.total : 0;
  $("progress").value = share;
  const { accepted, rejected, edited } = progress.states;
  $("progress-text").textContent = `${progress.reviewed} of ${counted(progress.total, "sample")} reviewed: ${accepted} accepted, ${rejected} rejected, ${edited} edited`;
  $("waiting").hidden = !progress.waiting;
  $("waiting").replaceChildren(
    `${counted(progress.waiting, "decision")} will be in the next dataset version. It is made once enough changed, or at once by `,
    make("code", {}, state.next ?? ""),
  );
}

function fail(error) {
  $("failure").hidden = !error;
  $("failure").textContent = error ? error.message : "";
}

// --- wiring -------------------------------------------------------------------------------------------------------

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  a: () => decide("accepted"),
  r: () => decide("rejected"),
  e: openEdit,
  u: () => current()?.review && decide("unreviewed"),
  "?": () => $("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (!$("edit").hidden) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      $("edit").requestSubmit();
    } else if (event.key === "Escape") {
      leaveEdit();
    }
    return;
  }
  const typing = event.target.closest?.("input, select, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

$("filters").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["author", ...FILTERS]) {
  $(id).addEventListener("change", () => {
    $(id).blur();
    reload();
  });
}
$("edit").addEventListener("submit", (event) => {
  event.preventDefault();
  decide("edited", $("edited").value);
});
$("edit-open").addEventListener("click", openEdit);
$("edit-leave").addEventListener("click", leaveEdit);
$("accept").addEventListener("click", () => decide("accepted"));
$("reject").addEventListener("click", () => decide("rejected"));
$("undo").addEventListener("click", () => decide("unreviewed"));
$("previous").addEventListener("click", () => move(-1));
$("next").addEventListener("click", () => move(1));
$("help-open").addEventListener("click", () => $("help").showModal());
$("help-close").addEventListener("click", () => $("help").close());
$("help").addEventListener("click", (event) => {
  if (event.target === $("help")) $("help").close();
});

askForKey(start);
start();
