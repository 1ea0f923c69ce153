// The page that scores a draft. Everything the API gave is put on the page as text nodes, never as HTML.

import { askForKey, call } from "../parts/api.js";
import { $, link, make, shown } from "../parts/elements.js";

const LIKE = 0.7;
const UNLIKE = 0.3;
const percent = (share) => `${Math.round(100 * share)}%`;

async function loadAuthors() {
  const { authors } = await (await call("/authors")).json();
  $("author").replaceChildren(...authors.map((each) => make("option", { value: each.id }, each.name)));
  $("author").parentElement.hidden = authors.length < 2;
}

function fail(error) {
  $("failure").textContent = error.message;
  $("failure").hidden = false;
}

function near(passage) {
  if (!passage) return make("p", { class: "muted" }, "No passage was looked up.");
  const from = make("p", {}, make("strong", {}, passage.title), " ", link(passage.url, {}, shown(passage.url)));
  return make("div", {}, from, make("blockquote", {}, passage.text));
}

function sentence(each) {
  const kind = each.score >= LIKE ? "like" : each.score <= UNLIKE ? "unlike" : "between";
  const words = { like: "sounds like the author", between: "undecided", unlike: "sounds like somebody else" }[kind];
  const head = make("summary", {}, each.text, " ", make("span", { class: "said" }, `${percent(each.score)}, ${words}`));
  return make("li", { class: kind }, make("details", {}, head, near(each.nearest)));
}

function voice(each) {
  const worth = each.counts ? `yes (AUC ${each.auc.toFixed(2)})` : `no (AUC ${each.auc.toFixed(2)})`;
  return make("tr", {}, make("td", {}, each.name), make("td", {}, percent(each.score)), make("td", {}, worth));
}

function show(verdict) {
  const { verifier } = verdict;
  $("score").textContent = percent(verdict.score);
  $("standing").textContent = `likely the author's; at or above ${percent(verdict.percentile)} of their own held-out texts of some ${verifier.length} words`;
  const measured = `against impostors of whom nothing was learned: AUC ${verifier.auc.toFixed(2)}, c@1 ${verifier.c_at_1.toFixed(2)}`;
  $("worth").textContent = `${verdict.words} words. ${verifier.counts ? "This score counts" : "Do not rely on this score"}: ${measured}.`;
  $("held-out").hidden = verifier.held_out.length === 0;
  $("held-out").textContent = `This text stands in ${verifier.held_out.map((each) => `“${each.title}”`).join(", ")}, which was held out to judge it.`;
  const remarks = verifier.remarks.length ? verifier.remarks.map((each) => each.text) : ["Nothing a reader would notice."];
  $("remarks").replaceChildren(...remarks.map((text) => make("li", {}, text)));
  $("sentences").replaceChildren(...verdict.sentences.map(sentence));
  const head = make("tr", {}, ...["Verifier", "Score", "Counts"].map((name) => make("th", { scope: "col" }, name)));
  $("voices").replaceChildren(head, ...verifier.voices.map(voice));
  $("verdict").hidden = false;
  $("verdict").focus();
}

$("score-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("failure").hidden = true;
  $("verdict").hidden = true;
  $("send").disabled = true;
  $("progress").textContent = "Reading… the first time takes some seconds.";
  try {
    const body = { text: $("draft").value, ...($("author").value ? { author: $("author").value } : {}) };
    show(await (await call("/score", { method: "POST", body: JSON.stringify(body) })).json());
  } catch (error) {
    fail(error);
  } finally {
    $("send").disabled = false;
    $("progress").textContent = "";
  }
});

askForKey(() => {
  $("failure").hidden = true;
  loadAuthors().catch(fail);
});

loadAuthors().catch(fail);
