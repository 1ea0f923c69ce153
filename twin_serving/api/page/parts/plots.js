// Small plots: stacked bars as SVG with the same figures as a table below, and lines of horizontal bars.

import { make } from "./elements.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 720;
const HEIGHT = 170;
const FOOT = 22;
const LEFT = 34;

function draw(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// The next number with one digit that is not nought, so that its half is a whole number too.
function ceiling(value) {
  const step = 10 ** Math.floor(Math.log10(Math.max(2, value)));
  return [2, 4, 6, 8, 10].map((each) => each * step).find((each) => each >= value);
}

// Bars in the order of `rows`, each a stack of `names.length` numbers: `rows` are {label, title, values}.
export function stackedBars(title, names, rows) {
  const top = ceiling(Math.max(...rows.map((row) => row.values.reduce((sum, each) => sum + each, 0))));
  const y = (value) => (HEIGHT * value) / top;
  const step = (WIDTH - LEFT) / rows.length;
  const every = Math.ceil(rows.length / 7);
  const svg = draw("svg", { viewBox: `0 -10 ${WIDTH} ${HEIGHT + FOOT + 10}`, role: "img", "aria-label": title });
  for (const value of [0, top / 2, top]) {
    svg.append(draw("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: HEIGHT - y(value), y2: HEIGHT - y(value) }));
    svg.append(draw("text", { x: LEFT - 6, y: HEIGHT - y(value) + 4, "text-anchor": "end" }, String(value)));
  }
  rows.forEach((row, index) => {
    const x = LEFT + index * step;
    let base = HEIGHT;
    row.values.forEach((value, series) => {
      if (!value) return;
      base -= y(value);
      svg.append(draw("rect", { "data-series": series, x: x + step * 0.15, y: base, width: step * 0.7, height: y(value) }));
    });
    svg.append(draw("rect", { class: "hit", x, y: 0, width: step, height: HEIGHT }, draw("title", {}, `${row.title}: ${names.map((name, series) => `${row.values[series]} ${name}`).join(", ")}`)));
    if (index % every === 0) svg.append(draw("text", { x: x + step / 2, y: HEIGHT + FOOT - 5, "text-anchor": "middle" }, row.label));
  });
  const legend = make("p", { class: "legend" }, ...names.map((name, series) => make("span", {}, make("i", { "data-series": series }), name)));
  return make("div", { class: "plot" }, legend, svg, table(names, rows));
}

function table(names, rows) {
  const head = ["", ...names].map((name, index) => (index ? make("th", { scope: "col", class: "number" }, name) : make("th", { scope: "col" }, "Day")));
  const line = (row) => make("tr", {}, make("th", { scope: "row" }, row.title), ...row.values.map((value) => make("td", { class: "number" }, String(value))));
  const whole = make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows.map(line)));
  return make("details", {}, make("summary", {}, "As a table"), make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Table of days" }, whole));
}

// A line for each of `rows`, {label, near, far, text}: a bar up to `near` over a lighter one up to `far`.
export function spans(rows) {
  const most = Math.max(...rows.map((row) => row.far), 1e-9);
  const bar = (kind, value) => {
    const node = make("i", { class: kind });
    node.style.width = `${(100 * value) / most}%`;
    return node;
  };
  const line = (row) =>
    make(
      "div",
      { class: "line" },
      make("span", {}, row.label),
      make("span", { class: "track", "aria-hidden": "true" }, bar("far", row.far), bar("near", row.near)),
      make("span", { class: "figure" }, row.text),
    );
  return make("div", { class: "plot" }, make("div", { class: "spans" }, ...rows.map(line)));
}
