// The chat page. Everything a model wrote is put on the page as text nodes, never as HTML.

const $ = (id) => document.getElementById(id);
const state = { authors: [], key: "", running: null, ready: false };

// --- talking to the API -------------------------------------------------------------------------------------------

class ApiError extends Error {}

async function call(path, options = {}) {
  const headers = { ...(options.body ? { "Content-Type": "application/json" } : {}) };
  if (state.key) headers.Authorization = `Bearer ${state.key}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached. Is it running?");
  }
  if (response.status === 401) {
    $("key-form").hidden = false;
    $("key").focus();
  }
  if (!response.ok && !(path === "/readyz" && response.status === 503)) throw new ApiError(await reason(response));
  return response;
}

async function reason(response) {
  try {
    const problem = await response.json();
    const detail = problem.detail || problem.error?.message || response.statusText;
    return problem.trace_id ? `${detail} (trace ${problem.trace_id.slice(0, 8)})` : detail;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

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

// --- building the page --------------------------------------------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) node.setAttribute(name, value);
  node.append(...children.filter((child) => child != null));
  return node;
}

function link(url, attributes, ...children) {
  const isWeb = /^https?:\/\//i.test(url || "");
  return isWeb
    ? make("a", { href: url, target: "_blank", rel: "noopener noreferrer", ...attributes }, ...children)
    : make("span", { ...attributes, title: url }, ...children);
}

// A safe part of Markdown: paragraphs, headings, lists, quotes, fences, inline code, bold, italics and our markers.
function render(target, text, citations = []) {
  const byMarker = new Map(citations.map((citation) => [citation.marker, citation]));
  const nodes = [];
  const lines = text.split("\n");
  let list = null;
  let paragraph = [];
  const flush = () => {
    if (paragraph.length) nodes.push(make("p", {}, ...inline(paragraph.join("\n"), byMarker)));
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
    const heading = line.match(/^#{1,6}\s+(.+)/);
    const item = line.match(/^\s*(?:([-*•])|\d+[.)])\s+(.+)/);
    const quoted = line.match(/^>\s?(.*)/);
    if (heading) {
      flush();
      nodes.push(make("h3", {}, ...inline(heading[1], byMarker)));
    } else if (item) {
      const tag = item[1] ? "ul" : "ol";
      if (!list || list.localName !== tag) {
        flush();
        list = make(tag);
        nodes.push(list);
      }
      list.append(make("li", {}, ...inline(item[2], byMarker)));
    } else if (quoted) {
      flush();
      nodes.push(make("blockquote", {}, ...inline(quoted[1], byMarker)));
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

function inline(text, byMarker) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(/`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*|\s?\[(\d{1,3})\]/g)) {
    const [all, code, bold, italic, number] = match;
    const citation = number && byMarker.get(Number(number));
    if (number && !citation) continue;
    nodes.push(document.createTextNode(text.slice(end, match.index)));
    if (code) nodes.push(make("code", {}, code));
    else if (bold) nodes.push(make("strong", {}, bold));
    else if (italic) nodes.push(make("em", {}, italic));
    else nodes.push(link(citation.url, { class: "marker", "aria-label": `Source ${number}: ${citation.title}` }, number));
    end = match.index + all.length;
  }
  nodes.push(document.createTextNode(text.slice(end)));
  return nodes;
}

function card(citation) {
  return link(
    citation.url,
    { class: "card" },
    make("span", { class: "card-head" }, make("span", { class: "number" }, String(citation.marker)), citation.title),
    make("blockquote", {}, citation.quote),
    make("div", { class: "from" }, make("span", { class: "platform" }, citation.platform), shown(citation.url)),
  );
}

const shown = (url) => url.replace(/^https?:\/\/(www\.)?/, "");

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
    const was = state.ready;
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
    if (ready.components.database.ready && (!state.authors.length || was !== state.ready)) await loadAuthors();
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
        finish(turn, data);
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

function finish(turn, done) {
  const find = (selector) => turn.querySelector(selector);
  render(find(".text"), done.answer || "(The model wrote nothing.)", done.citations);
  const name = author()?.name ?? "";
  turn.dataset.mode = done.abstained ? "silent" : done.mode;
  find(".by").replaceChildren(make("span", { class: "mode", title: done.because }, ...label(done, name)));
  if (done.nearest.length) {
    find(".nearest").hidden = false;
    find(".nearest ul").replaceChildren(...done.nearest.map((near) => make("li", {}, link(near.url, {}, near.title))));
  }
  if (done.citations.length) {
    find(".cards").hidden = false;
    find(".cards").replaceChildren(...done.citations.map(card));
  } else if (!done.abstained) {
    find(".loose").hidden = false;
  }
  const loose = done.mode === "write" ? done.sentences.filter((each) => !each.markers.length) : [];
  if (loose.length && done.citations.length) {
    find(".loose").hidden = false;
    find(".loose").textContent = `${counted(loose.length, "sentence")} of ${done.sentences.length} without a passage behind; the twin's own words, not a fact.`;
  }
  find("footer").hidden = false;
  const seconds = (done.timings_ms.total / 1000).toFixed(1);
  const tokens = done.usage.completion_tokens ? ` · ${done.usage.completion_tokens} tokens` : "";
  find(".took").textContent = `${seconds} s${tokens}${done.finish_reason === "length" ? " · cut at the limit" : ""}`;
  find(".where").addEventListener("click", () => showLineage(done.trace_id));
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

function label(done, name) {
  const support = done.support == null ? "" : `, ${Math.round(100 * done.support)}% supported`;
  const model = make("code", {}, `${done.model.adapter ?? "base"} on ${short(done.model.base)}`);
  if (done.abstained) return [`${name} has not written about this`];
  if (done.mode === "quote") return [`In ${name}'s own words`];
  if (done.mode === "generate") return ["Written from passages", support, " · ", model];
  return ["The twin's own writing", support, " · ", model];
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

async function showLineage(trace) {
  const body = $("lineage-body");
  body.replaceChildren(make("p", { class: "muted" }, "Looking…"));
  $("lineage").showModal();
  try {
    body.replaceChildren(...lineage(await (await call(`/lineage?trace_id=${encodeURIComponent(trace)}`)).json()));
  } catch (error) {
    body.replaceChildren(make("p", { class: "failure" }, error.message));
  }
}

function lineage(found) {
  const parts = [];
  const adapter = found.adapter;
  parts.push(
    section(
      "Model",
      facts([
        ["Base", found.base],
        ["Adapter", adapter ? out(found.links.adapter, adapter.version) : "none: the base answered"],
        ["Trained", adapter && new Date(adapter.created_at).toLocaleString()],
        ["Retired", adapter?.retired_because],
        ["Experiment", found.links.experiment && out(found.links.experiment, "in MLflow")],
      ]),
    ),
  );
  parts.push(
    section(
      "Passages the model was given",
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
const muted = (text) => make("span", { class: "muted" }, text);
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
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
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  state.key = $("key").value.trim();
  $("key").value = "";
  $("key-form").hidden = true;
  watchReadiness();
});
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
