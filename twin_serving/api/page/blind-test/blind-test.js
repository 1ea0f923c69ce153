// The page on which a reader tells the author from a version. Texts are data: they go on the page as text nodes.

import { askForKey, call, unique, write } from "../parts/api.js";
import { author, loadAuthors, onAuthor } from "../parts/authors.js";
import { $, counted, make } from "../parts/elements.js";
import { sequence } from "../parts/plots.js";

const READER = "reader";
const SIDES = ["a", "b"];
const STANDING = [["candidate", "candidate"], ["champion", "speaks now"], ["previous", "the one before"]];
const NO_VERSION = "No version was evaluated yet; twin run trains and evaluates one.";
const state = { shown: null, version: null, turns: 0, results: [] };

const percent = (share) => `${Math.round(100 * share)}%`;

// Who answers, to the server a random token: no pair is shown to it twice.
function reader() {
  let token = localStorage.getItem(READER);
  if (!token) {
    token = unique();
    localStorage.setItem(READER, token);
  }
  return token;
}

function fail(error) {
  $("failure").hidden = !error;
  $("failure").textContent = error ? error.message : "";
}

// --- which version ------------------------------------------------------------------------------------------------

async function loadVersions() {
  if (!author()) return;
  const wanted = state.version ?? new URLSearchParams(location.search).get("version");
  const mine = ++state.turns; // an answer that another choice has overtaken is let go
  try {
    const found = await (await call(`/blind-tests/results?${new URLSearchParams({ author: author() })}`)).json();
    if (mine !== state.turns) return;
    state.results = [...found.results].sort((one, other) => rank(one) - rank(other));
    $("version").replaceChildren(...state.results.map((each) => make("option", { value: each.version }, named(each))));
    if (state.results.some((each) => each.version === wanted)) $("version").value = wanted;
    await load();
  } catch (error) {
    fail(error);
  }
}

const place = (result) => STANDING.findIndex(([alias]) => result.aliases.includes(alias));
const rank = (result) => (place(result) < 0 ? STANDING.length : place(result));

// A version that was released has been the candidate; then it speaks now.
function named(result) {
  const held = STANDING.filter(([alias]) => result.aliases.includes(alias)).map(([, name]) => name);
  const said = held.length > 1 ? held[1] : held[0];
  return said ? `${result.version} (${said})` : result.version;
}

// --- one pair -----------------------------------------------------------------------------------------------------

async function load() {
  const mine = ++state.turns;
  state.version = $("version").value || null;
  state.shown = null;
  for (const side of SIDES) $(`choose-${side}`).disabled = true;
  if (!state.version) {
    nothing(NO_VERSION);
    $("progress-part").hidden = true;
    $("result-part").hidden = true;
    return;
  }
  showResult(state.results.find((each) => each.version === state.version));
  try {
    const query = new URLSearchParams({ author: author(), version: state.version, reader: reader() });
    const turn = await (await call(`/blind-tests?${query}`)).json();
    if (mine !== state.turns) return;
    showTurn(turn);
    fail(null);
  } catch (error) {
    if (mine === state.turns) fail(error);
  }
}

function nothing(why) {
  $("pair").hidden = true;
  $("next").hidden = true;
  $("reveal").textContent = "";
  $("nothing").hidden = false;
  $("nothing").textContent = why;
}

function showTurn(turn) {
  showProgress(turn.answered, turn.total);
  if (!turn.shown) {
    nothing(turn.because);
    return;
  }
  state.shown = turn.shown;
  $("nothing").hidden = true;
  $("pair").hidden = false;
  $("next").hidden = true;
  $("reveal").textContent = "";
  $("instruction").textContent = turn.shown.instruction;
  for (const side of SIDES) {
    $(`text-${side}`).textContent = turn.shown[side];
    $(`whose-${side}`).textContent = "";
    $(`side-${side}`).removeAttribute("data-own");
    $(`choose-${side}`).hidden = false;
    $(`choose-${side}`).disabled = false;
  }
}

function showProgress(answered, total) {
  state.answered = answered;
  state.total = total;
  $("progress-part").hidden = !total;
  $("progress").value = total ? answered / total : 0;
  $("progress-text").textContent = `You are done with ${answered} of ${counted(total, "pair")} of this version.`;
}

async function choose(side) {
  const shown = state.shown;
  if (!shown) return;
  const mine = ++state.turns;
  state.shown = null;
  for (const each of SIDES) $(`choose-${each}`).disabled = true;
  try {
    const body = { author: author(), reader: reader(), shown: shown.id, choice: side };
    const told = await (await write("/blind-tests", body)).json();
    state.results = state.results.map((each) => (each.version === told.result.version ? told.result : each));
    if (mine !== state.turns) return;
    reveal(told);
    fail(null);
  } catch (error) {
    if (mine !== state.turns) return;
    state.shown = shown;
    for (const each of SIDES) $(`choose-${each}`).disabled = false;
    fail(error);
  }
}

function reveal(told) {
  for (const side of SIDES) {
    const own = side === told.own;
    $(`side-${side}`).dataset.own = String(own);
    $(`whose-${side}`).textContent = own ? "the author’s own" : `written by ${told.result.version}`;
    $(`choose-${side}`).hidden = true;
  }
  const letter = told.own.toUpperCase();
  $("reveal").textContent = told.right ? `Yes: ${letter} is the author.` : `No: ${letter} is the author, and you took the twin for them.`;
  showProgress(state.answered + 1, state.total);
  showResult(told.result);
  $("next").hidden = false;
  $("next").focus();
}

async function goOn() {
  await load();
  $("question").focus();
}

// --- what the answers show ----------------------------------------------------------------------------------------

function showResult(result) {
  $("result-part").hidden = !result;
  if (!result) return;
  $("result").textContent = said(result);
  const start = { answers: 0, right: 0, share: null, low: 0, high: 1 };
  $("plot").replaceChildren(...(result.answers ? [sequence("Share of answers that found the author", [start, ...result.path])] : []));
}

function said({ version, right, answers, share, low, high, e_value: evidence }) {
  if (!answers) return `Nobody answered on ${version} yet.`;
  const counts = `Beside ${version}, ${right} of ${counted(answers, "answer")} found the author: ${percent(share)}.`;
  const interval = ` The true share lies between ${percent(low)} and ${percent(high)} (95% confidence sequence, which may be looked at after each answer); guessing finds 50%.`;
  const verdict = low > 0.5 ? "Readers can tell them apart." : high < 0.5 ? "Readers take the twin for the author." : "Whether readers can tell them apart is open.";
  return `${counts}${interval} ${verdict} Evidence against guessing: ${evidence >= 1000 ? "over 1000" : evidence.toFixed(1)} (20 is enough).`;
}

// --- wiring -------------------------------------------------------------------------------------------------------

const KEYS = { 1: "a", a: "a", 2: "b", b: "b" };

document.addEventListener("keydown", (event) => {
  if (event.target.closest?.("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  choose(KEYS[event.key]);
});

const start = () => loadAuthors().then(loadVersions, fail);

onAuthor(() => {
  state.version = null;
  loadVersions();
});
askForKey(start);
$("choices").addEventListener("submit", (event) => event.preventDefault());
$("version").addEventListener("change", () => {
  $("version").blur();
  load();
});
for (const side of SIDES) $(`choose-${side}`).addEventListener("click", () => choose(side));
$("next").addEventListener("click", goOn);
start();
