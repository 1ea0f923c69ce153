// The page of what is read and what became of it. Titles and reasons are data: all of them go on the page as text.

import { askForKey, call, upload } from "../parts/api.js";
import { author, loadAuthors, onAuthor } from "../parts/authors.js";
import { $, button, counted, link, make, muted, shown } from "../parts/elements.js";
import { openDocument } from "../parts/reader.js";
import { askToDrop } from "./dropping.js";

const FILTERS = ["q", "state", "platform", "category", "excluded", "source"];
const STATES = { searchable: ["searchable", "good"], left_out: ["left out", "warn"], waiting: ["waiting", ""] };
const REASONS = {
  not_own: "not yours, as twin.yaml says",
  mostly_quoted: "most of it is quoted from others",
  other_author: "written by somebody else",
  exact_duplicate: "the same text stands elsewhere too",
  near_duplicate: "nearly the same text stands elsewhere too",
  duplicate_as_told: "repeats another document, as twin.yaml says",
  too_short: "too short to be of use",
};
const KINDS = { api: "sent by programs", folder: "Markdown or text", jsonl: "JSON lines", medium: "Medium", medium_export: "Medium export", substack: "Substack", substack_export: "Substack export", linkedin: "LinkedIn", linkedin_export: "LinkedIn export", linkedin_inbox: "LinkedIn inbox", github: "GitHub", handbook: "Handbook dump", website: "website", feed: "feed", mastodon: "Mastodon" };
const COUNTED = ["new", "changed", "unchanged", "gone", "absent", "missing_kept", "quarantined"];
const state = { loads: 0, next: null, quarantine: null, sources: [], counts: [] };

const named = (kind) => KINDS[kind] || kind.replaceAll("_", " ");
const because = (code) => REASONS[code] || code.replaceAll("_", " ");
const day = (moment) => new Date(moment).toLocaleDateString(undefined, { dateStyle: "medium" });
const minute = (moment) => new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
const get = async (path, query) => (await call(`${path}?${new URLSearchParams({ author: author(), ...query })}`)).json();

function fail(error) {
  $("failure").hidden = !error;
  $("failure").textContent = error ? error.message : "";
}

// --- sources and counts -------------------------------------------------------------------------------------------

async function load() {
  if (!author()) return;
  try {
    const [{ sources }] = await Promise.all([get("/sources", {}), loadDocuments(), loadQuarantine()]);
    state.sources = sources;
    offerFilters();
    showTiles();
    showSources();
    fail(null);
  } catch (error) {
    fail(error);
  }
}

const sum = (counts) => counts.reduce((total, each) => total + each.documents, 0);
const of = (which) => sum(state.counts.filter((each) => each.state === which));

function tile(number, text, onClick) {
  return button({ class: "tile" }, onClick, make("strong", {}, number.toLocaleString()), make("span", {}, text));
}

function showTiles() {
  const filter = (which) => () => {
    for (const id of FILTERS) $(id).value = "";
    $("state").value = which;
    reload();
    $("documents-title").scrollIntoView({ behavior: "smooth" });
  };
  $("counts").replaceChildren(
    tile(of("searchable"), "searchable", filter("searchable")),
    tile(of("left_out"), "left out, and why", filter("left_out")),
    tile(of("waiting"), "waiting for the next run", filter("waiting")),
    tile(state.unreadable, "could not be read", () => ($("quarantine-section").hidden ? null : $("quarantine-title").scrollIntoView({ behavior: "smooth" }))),
  );
  $("waiting").hidden = !of("waiting");
  $("waiting").replaceChildren("Documents that wait become searchable with the next run: by themselves where the daemon runs, or with ", make("code", {}, `twin run --author ${author()}`), ".");
}

const isFile = (source) => source.location.startsWith("/");
const place = (source) => (isFile(source) ? source.location.split("/").at(-1) : shown(source.location));
const name = (source) => `${named(source.kind)} ${place(source)}`;

function outcome(source) {
  if (source.failure) return make("span", { class: "bad" }, source.failure);
  const counts = source.counts || {};
  const told = COUNTED.filter((each) => counts[each]).map((each) => `${counts[each]} ${each.replaceAll("_", " ")}`);
  return told.join(", ") || (source.counts ? "nothing" : muted("not read yet"));
}

function showSources() {
  const row = (source) => {
    const mine = state.counts.filter((each) => each.source_id === source.id);
    const number = (which) => make("td", { class: "number" }, sum(mine.filter((each) => !which || each.state === which)).toLocaleString());
    return make(
      "tr",
      {},
      make("td", { class: "where" }, named(source.kind), " ", make("small", { title: source.location }, place(source), source.imported ? " · imported" : " · in twin.yaml")),
      make("td", {}, source.read_at ? minute(source.read_at) : "never"),
      number(""),
      number("searchable"),
      make("td", { class: "outcome" }, outcome(source)),
      make("td", {}, source.next ? minute(source.next) : ""),
      make("td", { class: "act" }, source.id && dropper(source)),
    );
  };
  const columns = [["Source"], ["Last read"], ["Documents", "number"], ["Searchable", "number"], ["The last reading gave"], ["Next"]];
  const head = columns.map(([text, kind]) => make("th", { scope: "col", class: kind }, text));
  head.push(make("td"));
  $("sources").replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...state.sources.map(row)));
  $("sources").parentElement.hidden = !state.sources.length;
  $("no-sources").hidden = Boolean(state.sources.length);
}

function dropper(source) {
  const then = async (said) => {
    $("done").textContent = said;
    await load();
    $("done").focus();
  };
  const ask = () => askToDrop({ source, name: name(source), typed: place(source), then });
  return button({ class: "quiet", "aria-haspopup": "dialog", "aria-label": `Drop ${name(source)}` }, ask, "Drop…");
}

// --- documents ----------------------------------------------------------------------------------------------------

// The choices of the filters, each with how many documents there are; what is chosen stays.
function offerFilters() {
  const offer = (id, key, text) => {
    const totals = new Map();
    for (const each of state.counts) if (each[key]) totals.set(each[key], (totals.get(each[key]) || 0) + each.documents);
    const chosen = $(id).value;
    const options = [...totals].map(([value, count]) => make("option", { value }, `${text(value)} (${count.toLocaleString()})`));
    $(id).replaceChildren(make("option", { value: "" }, "all"), ...options);
    $(id).value = totals.has(chosen) ? chosen : "";
    $(id).parentElement.hidden = totals.size < (id === "excluded" ? 1 : 2);
  };
  const sources = new Map(state.sources.map((each) => [each.id, name(each)]));
  offer("platform", "platform", (value) => value);
  offer("category", "category", (value) => value);
  offer("excluded", "excluded", because);
  offer("source", "source_id", (value) => sources.get(value) || "a source that was dropped");
}

async function loadDocuments({ more = false } = {}) {
  const query = Object.fromEntries(FILTERS.filter((id) => $(id).value).map((id) => [id, $(id).value]));
  if (more) query.cursor = state.next;
  const mine = ++state.loads; // an answer that another filter has overtaken is let go
  const found = await get("/documents", query);
  if (mine !== state.loads) return;
  state.next = found.next;
  state.counts = found.counts;
  const items = found.documents.map(item);
  if (more) $("documents").append(...items);
  else $("documents").replaceChildren(...items);
  $("no-documents").hidden = $("documents").childElementCount > 0;
  $("documents-more").hidden = !found.next;
  if (more && items.length) {
    items[0].tabIndex = -1;
    items[0].focus();
  }
}

function item(each) {
  const [words, kind] = STATES[each.state];
  const facts = [
    make("span", {}, each.platform, " · ", each.category),
    each.published_at && make("time", { datetime: each.published_at }, day(each.published_at)),
    each.words != null && make("span", {}, counted(each.words.toLocaleString(), "word")),
    each.title !== each.url && link(each.url, {}, shown(each.url)),
  ];
  return make(
    "li",
    {},
    make(
      "div",
      { class: "head" },
      each.state === "waiting" ? make("strong", {}, each.title) : button({ class: "open", "aria-haspopup": "dialog" }, () => read(each), each.title),
      make("span", { class: "pill", "data-kind": kind }, words),
    ),
    make("div", { class: "facts" }, ...facts.filter(Boolean)),
    each.excluded && make("p", { class: "why" }, `Left out: ${because(each.excluded)}.`, each.duplicate_of ? " " : "", each.duplicate_of && original(each)),
  );
}

const original = (each) =>
  button({ class: "open", "aria-haspopup": "dialog" }, () => read({ ...each, document_id: each.duplicate_of, title: "The document it repeats" }), "Show the one that is used");

function read(each) {
  const query = `?author=${encodeURIComponent(author())}`;
  return openDocument(each, async () => (await call(`/documents/${encodeURIComponent(each.document_id)}${query}`)).json());
}

const reload = () => loadDocuments().then(() => fail(null), fail);

// --- quarantine ---------------------------------------------------------------------------------------------------

async function loadQuarantine({ more = false } = {}) {
  const found = await get("/quarantine", more ? { cursor: state.quarantine } : {});
  state.quarantine = found.next;
  state.unreadable = found.total;
  const items = found.items.map((each) => make("li", {}, make("strong", {}, each.item), make("p", {}, each.reason), make("p", {}, muted("What to do: "), each.remedy)));
  if (more) $("quarantine").append(...items);
  else $("quarantine").replaceChildren(...items);
  $("quarantine-section").hidden = !found.total;
  $("quarantine-more").hidden = !found.next;
}

// --- imports ------------------------------------------------------------------------------------------------------

async function bring(files) {
  const rows = [...files].map(begin);
  for (const row of rows) await send(row);
  await load();
}

function begin(file) {
  const said = make("span", {}, "waits");
  const bar = make("progress", { max: 1, value: 0, "aria-label": `How much of ${file.name} was sent` });
  const node = make("li", {}, make("div", { class: "head" }, make("strong", {}, file.name), said), bar);
  $("imports").append(node);
  return { file, said, bar, node };
}

async function send({ file, said, bar, node }) {
  const told = (kind, data) => {
    if (kind === "progress") said.textContent = `read ${counted(data.items.toLocaleString(), "item")}…`;
    if (kind === "done") finish(data);
    if (kind === "error") refuse(data.detail);
  };
  const finish = (report) => {
    bar.remove();
    const skipped = Object.entries(report.skipped).map(([why, count]) => `${count} skipped (${why.replaceAll("_", " ")})`);
    const counts = ["new", "changed", "unchanged", "gone"].filter((each) => report[each] || each === "new").map((each) => `${report[each]} ${each}`);
    said.textContent = `${named(report.kind)}: ${[...counts, ...skipped].join(", ")}`;
    if (report.missing_kept) node.append(make("p", { class: "muted" }, `${counted(report.missing_kept, "document")} of an earlier file of this name are missing here and were kept.`));
    if (report.quarantined.length) {
      const items = report.quarantined.slice(0, 5).map((each) => make("li", {}, `${each.item}: ${each.reason}. ${each.remedy}`));
      node.append(make("p", { class: "bad" }, `${report.quarantined.length} could not be read:`), make("ul", {}, ...items));
    }
  };
  const refuse = (why) => {
    bar.remove();
    said.dataset.outcome = "failed";
    said.textContent = why;
  };
  said.textContent = "is sent…";
  const sent = (share) => {
    bar.value = share;
    if (share === 1) {
      bar.removeAttribute("value");
      said.textContent = "is read…";
    }
  };
  try {
    await upload(`/sources?${new URLSearchParams({ author: author(), name: file.name })}`, file, { sent, told });
  } catch (error) {
    refuse(error.message);
  }
}

// --- wiring -------------------------------------------------------------------------------------------------------

const start = () => loadAuthors().then(load).catch(fail);
let typing = 0;

onAuthor(() => {
  $("done").textContent = "";
  load();
});
askForKey(start);
for (const id of FILTERS.slice(1)) $(id).addEventListener("change", reload);
$("q").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(reload, 200);
});
$("choices").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("documents-more").addEventListener("click", () => loadDocuments({ more: true }).catch(fail));
$("quarantine-more").addEventListener("click", () => loadQuarantine({ more: true }).catch(fail));
$("files").addEventListener("change", () => {
  bring($("files").files);
  $("files").value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").dataset.over = "";
  });
}
$("drop").addEventListener("dragleave", () => delete $("drop").dataset.over);
$("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  delete $("drop").dataset.over;
  bring(event.dataTransfer.files);
});
// A file that misses the box is not opened instead of the page.
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());

start();
