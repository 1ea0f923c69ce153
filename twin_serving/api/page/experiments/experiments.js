// The page on which trainings stand side by side. What the API gave goes on the page as text.

import { compare } from "./comparison.js";
import { figure, interval, minute, share } from "./figures.js";
import { askForKey, call } from "../parts/api.js";
import { author, loadAuthors, onAuthor } from "../parts/authors.js";
import { $, make, muted } from "../parts/elements.js";

const MOST = 20;
const COLUMNS = ["Training", "Dataset", "Validation loss", "Held-out loss", "Below the base", "Style", "Support", "Recited words", "Gate"];
const NUMBERS = new Set(COLUMNS.slice(2, 8));

const state = { next: null, trainings: [], chosen: new Set() };

function fail(error) {
  $("failure").hidden = !error;
  $("failure").textContent = error ? error.message : "";
}

async function load({ more = false } = {}) {
  if (!author()) return;
  const query = new URLSearchParams({ author: author(), limit: 50 });
  if (more) query.set("cursor", state.next);
  try {
    const found = await (await call(`/experiments?${query}`)).json();
    state.next = found.next;
    state.trainings = more ? [...state.trainings, ...found.experiments] : found.experiments;
    $("trainings").replaceChildren(...state.trainings.map(row));
    $("list").hidden = $("compare").hidden = state.trainings.length === 0;
    $("hint").hidden = state.trainings.length < 2;
    $("no-trainings").hidden = state.trainings.length > 0;
    $("more").hidden = !found.next;
    choose();
    fail(null);
  } catch (error) {
    fail(error);
  }
}

function row(training) {
  const box = make("input", { type: "checkbox", value: training.version });
  box.checked = state.chosen.has(training.version);
  box.addEventListener("change", () => {
    if (box.checked) state.chosen.add(training.version);
    else state.chosen.delete(training.version);
    choose();
  });
  const about = [minute(training.created_at), `over ${training.base.split("/").at(-1)}`, training.kind === "dpo" ? "preferences" : null, ...training.aliases].filter(Boolean).join(" · ");
  const cells = [
    make("span", {}, training.dataset_id.slice(0, 8), training.dataset_samples ? make("small", {}, `${training.dataset_samples} samples`) : null),
    figure(training.validation_loss),
    figure(training.held_out_loss),
    interval(training.gain, share),
    interval(training.style),
    interval(training.support, share),
    interval(training.memorised),
    verdict(training),
  ];
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, make("label", {}, box, make("span", {}, training.version, make("small", {}, about)))),
    ...cells.map((cell, index) => make("td", { class: NUMBERS.has(COLUMNS[index + 1]) ? "number" : null }, cell)),
  );
}

function verdict({ passed, failed, retired_because: retired }) {
  if (retired) return make("span", { class: "pill", "data-kind": "bad" }, "retired");
  if (passed == null) return muted("not measured");
  return make("span", { class: "pill", "data-kind": passed ? "good" : "bad", title: failed.join(", ") || null }, passed ? "passed" : "held back");
}

function choose() {
  const count = state.chosen.size;
  $("compare").disabled = count < 2 || count > MOST;
  $("chosen").textContent = count > MOST ? `At most ${MOST} can be compared; ${count} are chosen.` : count ? `${count} chosen.` : "";
}

async function show() {
  const versions = state.trainings.map((each) => each.version).filter((each) => state.chosen.has(each));
  const query = new URLSearchParams({ author: author(), versions: versions.join(",") });
  try {
    const { experiments, differences } = await (await call(`/experiments?${query}`)).json();
    $("comparison-title").textContent = `${experiments.length} trainings side by side`;
    $("comparison-body").replaceChildren(...compare(experiments, differences));
    $("comparison").hidden = false;
    $("comparison").focus({ preventScroll: true });
    $("comparison").scrollIntoView({ block: "start" });
    fail(null);
  } catch (error) {
    fail(error);
  }
}

function change() {
  state.chosen.clear();
  $("comparison").hidden = true;
  load();
}

$("trainings-head").append(make("tr", {}, ...COLUMNS.map((name) => make("th", { scope: "col", class: NUMBERS.has(name) ? "number" : null }, name))));

const start = () => loadAuthors().then(() => load(), fail);

onAuthor(change);
askForKey(start);
$("choices").addEventListener("submit", (event) => event.preventDefault());
$("compare").addEventListener("click", show);
$("more").addEventListener("click", () => load({ more: true }));
start();
