// The chat page. Everything a model wrote is put on the page as text nodes, never as HTML.

import { ApiError, askForKey, call } from "../parts/api.js";
import { $, button, counted, link, make, muted, shown } from "../parts/elements.js";
import { render } from "../parts/markdown.js";
import { mark } from "../parts/marking.js";
import { openDocument } from "../parts/reader.js";

const state = { authors: [], running: null, ready: false };

// --- server-sent events -------------------------------------------------------------------------------------------

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    for (let end = buffer.indexOf("\n\n"); end >= 0; end = buffer.indexOf("\n\n")) {
      const lines = buffer.slice(0, end).split("\n");
      buffer = buffer.slice(end + 2);
      const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (data) yield { name, data: JSON.parse(data) };
    }
  }
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

// --- authors and models -------------------------------------------------------------------------------------------

async function loadAuthors() {
  const { authors } = await (await call("/authors")).json();
  const before = $("author").value;
  state.authors = authors;
  $("author").replaceChildren(...authors.map((author) => make("option", { value: author.id }, author.name)));
  if (authors.some((author) => author.id === before)) $("author").value = before;
  showModels();
}

const author = () => state.authors.find((each) => each.id === $("author").value);

function showModels() {
  const chosen = author();
  if (!chosen) return;
  const before = $("model").value;
  const options = [
    make("option", { value: "" }, chosen.serving ? "Champion" : "Champion (none yet: base)"),
    make("option", { value: "base" }, "Base model"),
  ];
  for (const each of chosen.versions) {
    const names = each.aliases.length ? ` · ${each.aliases.join(", ")}` : "";
    options.push(make("option", { value: each.version }, `${each.version}${names}`));
  }
  $("model").replaceChildren(...options);
  if (options.some((option) => option.value === before)) $("model").value = before;
  $("welcome-name").textContent = chosen.name;
}

// --- readiness ----------------------------------------------------------------------------------------------------

async function watchReadiness() {
  let wait = 2000;
  try {
    const ready = await (await call("/readyz")).json();
    const missing = Object.entries(ready.components).filter(([, part]) => !part.ready);
    if (ready.components.database.ready && (!state.authors.length || state.ready !== ready.ready)) await loadAuthors();
    state.ready = ready.ready; // the author's own sentences need no model
    if (ready.ready) {
      const warnings = missing.map(([name, part]) => `${name}: ${part.reason}`).concat(ready.warnings);
      if (warnings.length) show("warned", `Ready, ${counted(warnings.length, "warning")}`, warnings);
      else show("ready", "Ready");
      wait = 15000;
    } else {
      const reasons = missing.map(([name, part]) => `${name}: ${part.reason}`);
      show("loading", missing.length ? `Waiting for: ${missing.map(([name]) => name).join(", ")}` : "Not ready", reasons);
    }
  } catch (error) {
    state.ready = false;
    show("down", error.message);
  }
  if (!state.running) $("send").disabled = !state.ready;
  clearTimeout(state.timer);
  state.timer = setTimeout(watchReadiness, wait);
}

function show(kind, text, more = []) {
  $("state").dataset.state = kind;
  $("state").toggleAttribute("data-more", more.length > 0);
  if (!more.length) $("state").open = false;
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
  $("state-more").replaceChildren(...more.map((each) => make("li", {}, each)));
}

// --- asking -------------------------------------------------------------------------------------------------------

async function ask(question) {
  $("welcome").hidden = true;
  const turn = $("turn").content.cloneNode(true).firstElementChild;
  const find = (selector) => turn.querySelector(selector);
  const answer = find(".answer");
  const asked = author();
  find(".asked").textContent = question;
  find(".by").textContent = asked ? `${asked.name} (twin)` : "Twin";
  $("turns").append(turn);
  turn.scrollIntoView({ block: "end" });

  const abort = new AbortController();
  busy(abort);
  let text = "";
  try {
    const response = await call("/ask", {
      method: "POST",
      signal: abort.signal,
      body: JSON.stringify({
        query: question,
        author: $("author").value || null,
        model: $("model").value || null,
        mode: $("mode").value,
        use_rag: $("rag").checked,
        stream: true,
      }),
    });
    for await (const { name, data } of events(response)) {
      if (name === "token") {
        text += data.text;
        render(find(".text"), text);
        keepInView();
      } else if (name === "done") {
        finish(turn, data, asked);
      } else if (name === "error") {
        throw new ApiError(data.detail);
      }
    }
  } catch (error) {
    find(".failure").hidden = false;
    find(".failure").textContent = error.name === "AbortError" ? "Stopped." : error.message;
  } finally {
    answer.setAttribute("aria-busy", "false");
    busy(null);
    keepInView();
    $("question").focus();
  }
}

function finish(turn, done, asked) {
  const find = (selector) => turn.querySelector(selector);
  const kind = done.abstained ? "silent" : done.mode;
  const byMarker = new Map(done.citations.map((citation) => [citation.marker, citation]));
  const cite = (number) => byMarker.has(number) && marker(byMarker.get(number), asked?.id);
  turn.dataset.mode = kind;
  render(find(".text"), done.answer || "(The model wrote nothing.)", cite);
  find(".by").replaceChildren(...worth(done, kind, asked?.name));
  if (done.nearest.length) {
    find(".nearest").hidden = false;
    find(".nearest ul").replaceChildren(...done.nearest.map((near) => make("li", {}, opener(near, asked?.id, { class: "open" }, near.title))));
  }
  if (done.citations.length) {
    find(".cards").hidden = false;
    find(".cards").replaceChildren(...done.citations.map((citation) => card(citation, asked?.id)));
  }
  if (kind !== "silent") {
    const loose = showUnsupported(find(".text"), done);
    find(".loose").hidden = !loose && done.citations.length > 0;
    if (loose) find(".loose").textContent = `No passage supports ${loose} of ${counted(done.sentences.length, "sentence")} (underlined with dashes): the twin's own words, not a fact.`;
  }
  find("footer").hidden = false;
  const seconds = (done.timings_ms.total / 1000).toFixed(1);
  const tokens = done.usage.completion_tokens ? ` · ${done.usage.completion_tokens} tokens` : "";
  find(".took").textContent = `${seconds} s${tokens}${done.finish_reason === "length" ? " · cut at the limit" : ""}`;
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

function busy(abort) {
  state.running = abort;
  $("send").hidden = Boolean(abort);
  $("stop").hidden = !abort;
  $("send").disabled = !state.ready;
}

function keepInView() {
  const left = document.documentElement.scrollHeight - window.innerHeight - window.scrollY;
  if (left < 260) window.scrollTo(0, document.documentElement.scrollHeight);
}

// --- lineage ------------------------------------------------------------------------------------------------------

async function showLineage(trace, kind) {
  const body = $("lineage-body");
  body.replaceChildren(make("p", { class: "muted" }, "Looking…"));
  $("lineage").showModal();
  try {
    body.replaceChildren(...lineage(await (await call(`/lineage?trace_id=${encodeURIComponent(trace)}`)).json(), kind));
  } catch (error) {
    body.replaceChildren(make("p", { class: "failure" }, error.message));
  }
}

function lineage(found, kind) {
  const parts = [];
  const adapter = found.adapter;
  const byModel = kind === "generate" || kind === "write";
  parts.push(
    section(
      "Model",
      facts([
        ["Wrote", byModel ? null : "none of it"],
        ["Base", byModel ? found.base : null],
        ["Adapter", adapter ? out(found.links.adapter, adapter.version) : byModel ? "none: the base answered" : null],
        ["Trained", adapter && new Date(adapter.created_at).toLocaleString()],
        ["Retired", adapter?.retired_because],
        ["Experiment", found.links.experiment && out(found.links.experiment, "in MLflow")],
      ]),
    ),
  );
  parts.push(
    section(
      byModel ? "Passages the model was given" : "Passages that are quoted",
      found.passages.length
        ? make("ul", {}, ...found.passages.map((passage) => make("li", {}, link(passage.url, {}, passage.title), " ", muted(passage.heading.filter((part) => part !== passage.title).join(" › ")))))
        : muted("none"),
    ),
  );
  if (adapter?.dataset) {
    const documents = adapter.dataset.documents;
    parts.push(
      section(
        "Dataset the adapter was trained on",
        facts([
          ["Version", out(found.links.dataset, `${adapter.dataset.kind} ${adapter.dataset.id}`)],
          ["Made", new Date(adapter.dataset.created_at).toLocaleString()],
          ["Documents", String(documents.length)],
        ]),
      ),
    );
    parts.push(
      section(
        "Documents it was trained on",
        make("ul", {}, ...documents.map((each) => make("li", {}, link(each.url, {}, shown(each.url)), " ", muted(counted(each.samples, "sample"))))),
      ),
    );
  }
  parts.push(make("p", { class: "muted" }, `Trace ${found.trace_id}`));
  return parts;
}

const section = (title, content) => make("section", {}, make("h3", {}, title), content);
const short = (base) => base.split("/").at(-1);
const out = (url, text) => (url ? link(url, {}, text) : text);

function facts(rows) {
  const list = make("dl");
  for (const [name, value] of rows) if (value) list.append(make("dt", {}, name), make("dd", {}, value));
  return list;
}

// --- wiring -------------------------------------------------------------------------------------------------------

function fit() {
  const box = $("question");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
}

$("author").addEventListener("change", showModels);
$("choices").addEventListener("submit", (event) => event.preventDefault());
$("clear").addEventListener("click", () => {
  state.running?.abort();
  $("turns").replaceChildren();
  $("welcome").hidden = false;
  $("question").focus();
});
askForKey(watchReadiness);
$("question").addEventListener("input", fit);
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
});
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question || state.running || !state.ready) return;
  $("question").value = "";
  fit();
  ask(question);
});
$("stop").addEventListener("click", () => state.running?.abort());
$("lineage-close").addEventListener("click", () => $("lineage").close());
$("lineage").addEventListener("click", (event) => {
  if (event.target === $("lineage")) $("lineage").close();
});

$("send").disabled = true;
watchReadiness();
