// Some trainings side by side: in what they differ, how they went, what was measured, and what they write.

import { duration, figure, interval, minute, share } from "./figures.js";
import { make, muted } from "../parts/elements.js";
import { lines } from "../parts/plots.js";

const MEASURED = [
  ["Validation loss", (each) => figure(each.validation_loss)],
  ["Loss on held-out documents", (each) => figure(each.held_out_loss)],
  ["Below the base model", (each) => interval(each.gain, share)],
  ["Style", (each) => interval(each.style)],
  ["Sentences with support", (each) => interval(each.support, share)],
  ["Words recited of its training", (each) => interval(each.memorised)],
  ["Took", (each) => duration(each.seconds)],
  ["Cost", (each) => (each.cost == null ? muted("–") : `${each.cost.toFixed(2)} ${each.currency}`)],
  ["Gate", (each) => (each.passed == null ? muted("not measured") : each.passed ? "passed" : `held back: ${each.failed.join(", ").replaceAll("_", " ")}`)],
  ["Stopped early", (each) => each.stopped || "no"],
  ["State", (each) => (each.retired_because ? `retired: ${each.retired_because}` : each.aliases.join(", ") || "–")],
];
const MADE_WITH = [
  ["Trained", (each) => minute(each.created_at)],
  ["Dataset", (each) => `${each.dataset_id.slice(0, 12)}, ${minute(each.dataset_made_at)}`],
  ["Base", (each) => each.base],
  ["Code", (each) => each.code || muted("–")],
  ["Library", (each) => each.backend || muted("–")],
  ["Hardware", (each) => (each.hardware ? `${each.hardware}${each.processes > 1 ? `, ${each.processes} processes` : ""}` : muted("–"))],
  ["Hyper-parameters", (each) => each.origin || muted("–")],
];

export function compare(trainings, differences) {
  const differing = differences.map(({ name, values }) => [name.replaceAll("_", " "), ...values.map(told)]);
  return [
    make("h3", {}, "In what they differ"),
    differing.length ? table("In what they differ", trainings, differing) : make("p", {}, "In nothing that is written down: the same dataset, base, settings and code."),
    ...curves(trainings),
    make("h3", {}, "What was measured"),
    make("p", { class: "muted" }, "Small figures are 95% intervals. Style is 0 for other people's writing and 1 for the author's own."),
    table("What was measured", trainings, rows(MEASURED, trainings)),
    ...texts(trainings),
    make("h3", {}, "What they were made with"),
    table("What they were made with", trainings, rows(MADE_WITH, trainings)),
  ];
}

const told = (value) => (value == null ? muted("not set") : typeof value === "object" ? JSON.stringify(value) : String(value));
const rows = (kinds, trainings) => kinds.map(([name, of]) => [name, ...trainings.map(of)]);

function table(title, trainings, body) {
  const head = make("tr", {}, make("td", {}), ...trainings.map((each) => make("th", { scope: "col" }, each.version)));
  const line = ([name, ...cells]) => make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((cell) => make("td", {}, cell)));
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": title }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body.map(line))));
}

function curves(trainings) {
  const found = [["Loss on held-out samples while training", "validation_loss"], ["Loss on training samples", "loss"]].map(([title, member]) => {
    const series = trainings.map((each) => ({ name: each.version, points: each.curve.filter((point) => point[member] != null).map((point) => [point.step, point[member]]) }));
    return series.some((each) => each.points.length) ? [make("h4", {}, title), lines(title, "Step", series)] : [];
  });
  const plots = found.flat();
  return plots.length ? [make("h3", {}, "How they went"), ...plots] : [];
}

// Answers to the same question beside one another, and beside the author's own.
function texts(trainings) {
  const asked = new Map();
  for (const { version, texts: written } of trainings) {
    for (const { question, text, own } of written) {
      if (!asked.has(question)) asked.set(question, { own, written: [] });
      asked.get(question).written.push([version, text]);
    }
  }
  if (!asked.size) return [];
  const card = (name, text, kind) => make("section", { class: kind }, make("h4", {}, name), make("div", { class: "words" }, text));
  const one = ([question, { own, written }]) => [
    make("p", { class: "asks" }, question),
    make("div", { class: "side" }, card("The author", `${own} …`, "author"), ...written.map(([version, text]) => card(version, text || "(nothing)"))),
  ];
  return [make("h3", {}, "What they answered in the end"), ...[...asked].flatMap(one)];
}
