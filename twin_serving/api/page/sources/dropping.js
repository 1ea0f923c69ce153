// The dialog that says what goes with a source, asks, and drops it.

import { call, unique } from "../parts/api.js";
import { $, counted, make } from "../parts/elements.js";

let open = null;

const many = (number, noun) => counted(number.toLocaleString(), noun);
const path = () => `/sources/${encodeURIComponent(open.source.id)}`;
const way = () => document.querySelector("#dropping [name=way]:checked").value;
const inUse = (adapters) => adapters.filter((each) => !each.retired_because);

// `name` is what people read, `typed` what they type; `then` is given the sentence that says what became of it.
export async function askToDrop({ source, name, typed, then }) {
  open = { source, name, typed, then, key: unique(), held: null, busy: false };
  $("dropping-title").textContent = `Drop ${name}?`;
  $("dropping-goes").replaceChildren(make("li", {}, "Counting what it gave…"));
  $("dropping-configured").hidden = true;
  $("dropping-ways").hidden = true;
  $("dropping-form").reset();
  $("dropping-typed").textContent = typed;
  $("dropping-failure").hidden = true;
  show();
  $("dropping").showModal();
  const asked = open;
  try {
    asked.held = await (await call(path())).json();
  } catch (error) {
    refuse(error);
  }
  if (asked !== open || !open.held) return;
  tell(open.held);
  show();
  $(open.held.configured ? "dropping-name" : "dropping-stop").focus();
}

function tell(held) {
  const named = inUse(held.adapters).map((each) => [each.version, each.aliases?.length ? ` (${each.aliases.join(", ")})` : ""].join(""));
  const goes = [
    `${many(held.documents, "document")}${held.copies ? `, and ${held.copies.toLocaleString()} of the same text from other sources` : ""}`,
    `${many(held.passages, "passage")} that searches and answers use`,
    `${many(held.samples, "sample")} of ${many(held.datasets, "dataset version")}`,
    named.length ? `Trained on it and in use: ${named.join(", ")}` : "No adapter in use was trained on it",
  ];
  $("dropping-goes").replaceChildren(...goes.map((each) => make("li", {}, each)));
  $("dropping-configured").hidden = !held.configured;
  $("dropping-entry").textContent = held.location;
  $("dropping-author").textContent = held.author;
  $("dropping-ways").hidden = false;
  $("dropping-stop").disabled = held.configured;
  $(held.configured ? "dropping-forget" : "dropping-stop").checked = true;
}

// What is asked for follows the chosen way, and nothing is offered before what goes is known.
function show() {
  const ready = open.held !== null && !open.busy;
  const forgets = open.held !== null && way() === "forget";
  $("dropping-asks").hidden = !forgets;
  $("dropping-retires").hidden = !forgets || !inUse(open.held.adapters).length;
  $("dropping-do").textContent = forgets ? "Forget it for good" : "Read it no longer";
  $("dropping-do").disabled = !ready || (forgets && $("dropping-name").value.trim() !== open.typed);
  $("dropping-leave").disabled = open.busy;
  $("dropping-working").hidden = !open.busy;
}

function refuse(error) {
  $("dropping-failure").textContent = error.message;
  $("dropping-failure").hidden = false;
}

function said(done) {
  const { name } = open;
  if (done.way === "stop") return `${name} is no longer read; ${many(done.documents, "document")} left the index.`;
  const parts = [
    `${name} was forgotten: ${many(done.documents, "document")}, ${many(done.vectors, "vector")}, ${many(done.questions, "question")}, ${many(done.reports, "report")}, files of ${many(done.datasets, "dataset")}.`,
  ];
  const left = done.adapters.filter((each) => !done.retired.includes(each));
  if (done.retired.length) parts.push(`Retired: ${done.retired.join(", ")}.`);
  if (left.length) parts.push(`Trained on it and still in use: ${left.join(", ")}.`);
  if (done.out_of_reach) parts.push(`${done.out_of_reach[0].toUpperCase()}${done.out_of_reach.slice(1)}.`);
  if (done.configured) parts.push("It still stands in twin.yaml, so what it publishes later is read.");
  return parts.join(" ");
}

async function drop() {
  const retire = way() === "forget" && !$("dropping-retires").hidden && $("dropping-retire").checked;
  const query = new URLSearchParams({ way: way(), retire });
  $("dropping-failure").hidden = true;
  open.busy = true;
  show();
  try {
    // With one key for each choice, a second try after a lost answer is told what the first one did.
    const headers = { "Idempotency-Key": `${open.key}-${query}` };
    const done = await (await call(`${path()}?${query}`, { method: "DELETE", headers })).json();
    open.busy = false;
    $("dropping").close();
    await open.then(said(done));
  } catch (error) {
    open.busy = false;
    refuse(error);
    show();
  }
}

$("dropping-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!$("dropping-do").disabled) drop();
});
$("dropping-form").addEventListener("input", show);
$("dropping-leave").addEventListener("click", () => $("dropping").close());
$("dropping").addEventListener("cancel", (event) => open.busy && event.preventDefault());
$("dropping").addEventListener("click", (event) => {
  if (event.target === $("dropping") && !open.busy) $("dropping").close();
});
