// The page of how the twin does. Questions are readers' words: all of them go on the page as text.

import { askForKey, call } from "../parts/api.js";
import { author, loadAuthors, onAuthor } from "../parts/authors.js";
import { $, button, counted, make, muted } from "../parts/elements.js";
import { spans, stackedBars } from "../parts/plots.js";

const RULES = {
  failures: "Too many requests fail",
  slowness: "Answers are slow",
  ratings: "Readers are not content",
  failed_run: "The last run failed",
  withdrawn_canary: "A canary was withdrawn",
  stale: "Your sources were not read for long",
  dead_daemon: "Nothing is collected by itself",
};
const MODES = { quote: "Your own words", generate: "Written from passages", write: "Free writing", search: "Searches" };
const SHOWN = 8;
const state = { loads: 0, gaps: [] };

const percent = (share) => (share == null ? "–" : `${Math.round(100 * share)}%`);
const seconds = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
const minute = (moment) => new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
const times = (number) => (number === 1 ? "once" : `${number} times`);
const day = (date, options) => new Date(`${date}T00:00:00Z`).toLocaleDateString(undefined, { ...options, timeZone: "UTC" });

function fail(error) {
  $("failure").hidden = !error;
  $("failure").textContent = error ? error.message : "";
}

async function load() {
  if (!author()) return;
  const turn = (state.loads += 1);
  try {
    const found = await (await call(`/monitoring?${new URLSearchParams({ author: author(), days: $("days").value })}`)).json();
    if (turn !== state.loads) return;
    show(found);
    fail(null);
  } catch (error) {
    if (turn === state.loads) fail(error);
  }
}

function show(found) {
  showAlerts(found.alerts);
  $("nothing").hidden = found.totals.calls > 0;
  $("figures").hidden = !found.totals.calls;
  if (!found.totals.calls) return;
  showTotals(found.totals);
  showDays(found.by_day);
  showGaps(found.gaps);
  showDrift(found.drift, found.days);
  showLatency(found.latency);
  showSpeakers(found.speakers);
}

// --- what is wrong ------------------------------------------------------------------------------------------------

function showAlerts(alerts) {
  $("well").hidden = Boolean(alerts.length);
  $("alerts").replaceChildren(...alerts.map(alertLine));
}

function alertLine(alert) {
  const known = alert.acknowledged_at ? `${alert.acknowledged_by} knows of it since ${minute(alert.acknowledged_at)}` : null;
  return make(
    "li",
    { "data-known": known && "" },
    make("div", { class: "what" }, make("strong", {}, RULES[alert.rule] || alert.rule.replaceAll("_", " ")), make("span", {}, alert.text), muted(`since ${minute(alert.opened_at)}`)),
    known ? muted(known) : button({ class: "quiet" }, () => acknowledge(alert), "I know of it", make("span", { class: "hidden" }, `: ${RULES[alert.rule] || alert.rule}`)),
  );
}

async function acknowledge(alert) {
  try {
    await call(`/monitoring/alerts/${alert.id}/acknowledge`, { method: "POST" });
    $("done").textContent = "Noted. Nobody is reminded of it again; it goes away by itself when all is well.";
    await load();
  } catch (error) {
    fail(error);
  }
}

// --- figures ------------------------------------------------------------------------------------------------------

const tile = (figure, text, title) => make("div", { class: "tile", title }, make("strong", {}, figure), make("span", {}, text));

function showTotals(totals) {
  const rated = totals.up + totals.down;
  $("asked").replaceChildren(
    tile(totals.questions.toLocaleString(), totals.questions === 1 ? "question" : "questions"),
    tile(percent(totals.silence), "not answered, as you wrote nothing of it", `${totals.silent} of ${counted(totals.judged, "answer")}`),
    tile(percent(totals.support), "of what it said your work supports", "mean share of supported sentences, over the answers that say something"),
    tile(percent(totals.retrievals ? totals.empty / totals.retrievals : null), "of searches found no passage at all", `${totals.empty} of ${totals.retrievals}`),
    tile(percent(rated ? totals.up / rated : null), rated ? `of ${counted(rated, "rating")} good` : "nobody rated an answer"),
    tile(percent(totals.failed / totals.calls), "failed", `${totals.failed} of ${counted(totals.calls, "call")}`),
  );
}

function showDays(days) {
  const rows = days.map((each) => ({
    label: day(each.day, { day: "numeric", month: "short" }),
    title: day(each.day, { dateStyle: "medium" }),
    values: [each.answered, each.silent, each.failed],
  }));
  $("by-day").replaceChildren(stackedBars("Questions by day", ["answered", "not answered", "failed"], rows));
}

function showGaps(gaps, all = false) {
  state.gaps = gaps || [];
  const shown = all ? state.gaps : state.gaps.slice(0, SHOWN);
  $("gaps-note").textContent = gaps == null ? "The embedding model that finds what means the same still loads; look again in a moment." : gaps.length ? "To these the twin said that you wrote nothing of it, or little of its answer is yours. Something to write about, perhaps." : "Your work answered all that was asked.";
  $("gaps").replaceChildren(...shown.map(gapLine));
  $("gaps-more").hidden = shown.length === state.gaps.length;
}

function gapLine(gap) {
  const weak = gap.times - gap.silent;
  return make(
    "li",
    {},
    make("strong", {}, gap.question),
    make("span", { class: "times" }, times(gap.times)),
    gap.wordings.length ? make("span", { class: "wordings" }, `Also: ${gap.wordings.join(" · ")}`) : null,
    make("span", { class: "muted last" }, `last on ${minute(gap.last_at)}`, weak ? `, ${times(weak)} with an answer that little supports` : ""),
  );
}

function showDrift(drift, days) {
  const before = `the ${days} days before`;
  const words = drift?.words.length ? ` Asked more than then: ${drift.words.join(", ")}.` : "";
  $("drift").textContent = !drift
    ? `Too few questions to tell; it takes twenty now and twenty in ${before}.`
    : drift.drifted
      ? `Yes, other things than in ${before}.${words}`
      : `No, much the same as in ${before}.${words}`;
}

function showLatency(latency) {
  const rows = latency.map((each) => ({
    label: MODES[each.mode] || each.mode,
    near: each.p50_ms,
    far: each.p95_ms,
    text: `${seconds(each.p50_ms)}, ${seconds(each.p95_ms)}`,
  }));
  $("latency").replaceChildren(rows.length ? spans(rows) : muted("Nothing was answered yet."));
}

function showSpeakers(speakers) {
  const named = { quote: "Your own words, quoted", base: "The base model, without an adapter" };
  const row = (each) => make("tr", {}, make("td", {}, named[each.version] || make("code", {}, each.version)), make("td", { class: "number" }, each.answers.toLocaleString()), make("td", {}, minute(each.last_at)));
  const head = [["Who"], ["Answers", "number"], ["Last"]].map(([text, kind]) => make("th", { scope: "col", class: kind }, text));
  $("speakers").replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...speakers.map(row)));
  $("speakers").parentElement.hidden = !speakers.length;
}

function change() {
  $("done").textContent = "";
  load();
}

const start = () => loadAuthors().then(load).catch(fail);

onAuthor(change);
askForKey(start);
$("days").addEventListener("change", change);
$("gaps-more").addEventListener("click", () => showGaps(state.gaps, true));
$("choices").addEventListener("submit", (event) => event.preventDefault());
start();
