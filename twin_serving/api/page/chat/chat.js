// The chat page. Everything a model wrote is put on the page as text nodes, never as HTML.

import { ApiError, askForKey, call } from "../parts/api.js";
import { $, counted, make } from "../parts/elements.js";
import { render } from "../parts/markdown.js";
import * as chats from "./chats.js";
import { addTurn, finish } from "./turn.js";

const asked = new URLSearchParams(location.search);
const shared = asked.get("trace"); // of an answer that somebody shared
const state = { authors: [], running: null, ready: false, begun: false, chat: { id: null } };

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

// --- authors and models -------------------------------------------------------------------------------------------

async function loadAuthors() {
  const { authors } = await (await call("/authors")).json();
  const before = $("author").value || asked.get("author");
  state.authors = authors;
  $("author").replaceChildren(...authors.map((author) => make("option", { value: author.id }, author.name)));
  if (authors.some((author) => author.id === before)) $("author").value = before;
  showModels();
  if (state.begun) return;
  state.begun = true;
  if (shared) {
    await showShared();
  } else if (asked.has("author")) {
    chats.leave(); // whoever comes from a shared answer begins a chat
    history.replaceState(null, "", location.pathname);
  } else if (chats.opened()) {
    await reopen(chats.opened());
  }
}

const authorOf = (id) => state.authors.find((each) => each.id === id);
const author = () => authorOf($("author").value);

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
      const engines = ready.engines.filter((each) => !each.problem).map(served);
      if (warnings.length) showState("warned", `Ready, ${counted(warnings.length, "warning")}`, warnings.concat(engines));
      else showState("ready", "Ready", engines);
      wait = 15000;
    } else {
      const reasons = missing.map(([name, part]) => `${name}: ${part.reason}`);
      showState("loading", missing.length ? `Waiting for: ${missing.map(([name]) => name).join(", ")}` : "Not ready", reasons);
    }
  } catch (error) {
    state.ready = false;
    showState("down", error.message);
  }
  if (!state.running) $("send").disabled = !state.ready;
  clearTimeout(state.timer);
  state.timer = setTimeout(watchReadiness, wait);
}

const served = (engine) => `${engine.address} serves ${[engine.model, ...engine.adapters].join(", ")}`;

function showState(kind, text, more = []) {
  $("state").dataset.state = kind;
  $("state").toggleAttribute("data-more", more.length > 0);
  if (!more.length) $("state").open = false;
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
  $("state-more").replaceChildren(...more.map((each) => make("li", {}, each)));
}

// --- asking -------------------------------------------------------------------------------------------------------

async function ask(question) {
  $("welcome").hidden = true;
  note("");
  const chat = state.chat;
  const of = author();
  const turn = addTurn(question, of);
  const find = (selector) => turn.querySelector(selector);
  turn.scrollIntoView({ block: "end" });

  const abort = new AbortController();
  busy(abort);
  let text = "";
  try {
    for await (const { name, data } of events(await send(question, chat, abort.signal))) {
      if (name === "token") {
        text += data.text;
        render(find(".text"), text);
        keepInView();
      } else if (name === "done") {
        finish(turn, data, of);
        goOn(chat, data.conversation_id, question);
      } else if (name === "error") {
        throw new ApiError(data.detail);
      }
    }
  } catch (error) {
    find(".failure").hidden = false;
    find(".failure").textContent = error.name === "AbortError" ? "Stopped." : error.message;
  } finally {
    find(".answer").setAttribute("aria-busy", "false");
    if (state.running === abort) {
      busy(null);
      keepInView();
      $("question").focus();
    }
  }
}

// Asks in a chat; where the server keeps that no longer, on its own.
async function send(question, chat, signal) {
  const body = {
    query: question,
    author: $("author").value || null,
    model: $("model").value || null,
    mode: $("mode").value,
    use_rag: $("rag").checked,
    stream: true,
  };
  const post = (conversation_id) => call("/ask", { method: "POST", signal, body: JSON.stringify({ ...body, conversation_id }) });
  try {
    return await post(chat.id);
  } catch (error) {
    if (error.kind !== "unknown-conversation") throw error;
    chats.drop(chat.id);
    chat.id = null;
    note("What was said before is no longer kept, so this question was asked on its own.");
    return post(null);
  }
}

// --- chats --------------------------------------------------------------------------------------------------------

function goOn(chat, id, question) {
  if (!id) return;
  chat.id = id;
  chats.remember(id, question);
  if (state.chat === chat) chats.enter(id);
}

function startNew() {
  state.running?.abort();
  busy(null);
  state.chat = { id: null };
  chats.leave();
  note("");
  $("turns").replaceChildren();
  $("welcome").hidden = false;
}

async function reopen(id) {
  try {
    const found = await chats.read(id);
    startNew();
    if (authorOf(found.author)) $("author").value = found.author;
    showModels();
    $("welcome").hidden = true;
    quietly(() => {
      for (const turn of found.turns) show(turn);
    });
    state.chat.id = id;
    chats.enter(id);
    note(`Reopened, with ${counted(found.turns.length, "answer")}. What you ask now goes on from here.`);
    window.scrollTo(0, document.documentElement.scrollHeight);
    $("question").focus();
  } catch (error) {
    if (error.status === 404) chats.drop(id);
    note(error.status === 404 ? "This chat is no longer kept, so it was taken off the list." : error.message);
  }
}

function show(given, options) {
  const of = authorOf(given.author) ?? { id: given.author, name: given.author };
  const turn = addTurn(given.question, of);
  finish(turn, given, of, options);
  turn.querySelector(".answer").setAttribute("aria-busy", "false");
  return turn;
}

// Without reading every turn out to those who listen.
function quietly(change) {
  $("turns").setAttribute("aria-live", "off");
  change();
  setTimeout(() => $("turns").setAttribute("aria-live", "polite"), 500);
}

async function showShared() {
  try {
    const given = await (await call(`/answers/${encodeURIComponent(shared)}`)).json();
    quietly(() => show(given, { shared: true }));
    document.title = `${given.question} · LLM Twin`;
    $("further").href = `/?author=${encodeURIComponent(given.author)}`;
  } catch (error) {
    note(error.status === 404 ? "This answer is no longer kept, or the link to it is not whole." : error.message);
  }
}

const note = (text) => ($("note").textContent = text);

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

// --- wiring -------------------------------------------------------------------------------------------------------

function fit() {
  const box = $("question");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
}

$("author").addEventListener("change", () => {
  showModels();
  if (!$("turns").children.length) return;
  startNew();
  note("A chat is with one author, so this is another one. The one before is among the earlier chats.");
});
$("choices").addEventListener("submit", (event) => event.preventDefault());
$("clear").addEventListener("click", () => {
  startNew();
  $("question").focus();
});
chats.wireList({ reopen, ended: (id) => id === state.chat.id && startNew() });
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

$("send").disabled = true;
if (shared) {
  for (const id of ["choices", "ask", "welcome"]) $(id).hidden = true;
  $("shared").hidden = false;
  document.querySelector(".skip").href = "#shared";
  document.querySelector(".skip").textContent = "Skip to the answer";
}
watchReadiness();
