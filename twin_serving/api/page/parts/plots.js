// Small plots: stacked bars and sequences as SVG with the same figures as a table below, and lines of horizontal bars.

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
  return make("div", { class: "plot" }, legend, svg, table("Table of days", ["Day", ...names], rows));
}

function table(title, names, rows) {
  const head = names.map((name, index) => make("th", { scope: "col", class: index ? "number" : null }, name));
  const line = (row) => make("tr", {}, make("th", { scope: "row" }, row.title), ...row.values.map((value) => make("td", { class: "number" }, String(value))));
  const whole = make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows.map(line)));
  return make("details", {}, make("summary", {}, "As a table"), make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": title }, whole));
}

// A share after each of some answers with the interval around it, and the line at one half: `points` are
// {answers, share, low, high}, where `share` is null before the first answer.
export function sequence(title, points) {
  const most = points.at(-1).answers;
  const x = ({ answers }) => LEFT + ((WIDTH - LEFT) * answers) / most;
  const y = (value) => HEIGHT * (1 - value);
  const line = (value) => points.map((point) => `${x(point)},${y(value(point))}`);
  const band = [...line((point) => point.high), ...line((point) => point.low).reverse()];
  const known = points.filter((point) => point.share != null);
  const svg = draw("svg", { viewBox: `0 -10 ${WIDTH} ${HEIGHT + FOOT + 10}`, role: "img", "aria-label": title });
  for (const value of [0, 0.5, 1]) {
    svg.append(draw("line", { class: value === 0.5 ? "half" : "grid", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }));
    svg.append(draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, percent(value)));
  }
  svg.append(draw("polygon", { class: "band", points: band.join(" ") }));
  svg.append(draw("polyline", { class: "share", points: known.map((point) => `${x(point)},${y(point.share)}`).join(" ") }));
  svg.append(draw("circle", { class: "now", cx: x(known.at(-1)), cy: y(known.at(-1).share), r: 4 }));
  for (const [value, anchor] of [[0, "start"], [most, "end"]]) {
    svg.append(draw("text", { x: x({ answers: value }), y: HEIGHT + FOOT - 5, "text-anchor": anchor }, String(value)));
  }
  const rows = known.map((point) => ({ title: String(point.answers), values: [percent(point.share), percent(point.low), percent(point.high)] }));
  return make("div", { class: "plot" }, svg, table("Table of answers", ["Answers", "Found the author", "At least", "At most"], rows));
}

const percent = (share) => `${Math.round(100 * share)}%`;

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

const MARKS = ["", "6 4", "2 3", "10 3 2 3"];

// Curves over the same numbers: `series` are {name, points}, where a point is [x, y]. They are told apart by colour and
// by how their lines are broken; the figures stand in a table below.
export function lines(title, across, series) {
  const points = series.flatMap((each) => each.points);
  const [most, low, high] = [Math.max(...points.map(([x]) => x), 1), Math.min(...points.map(([, y]) => y)), Math.max(...points.map(([, y]) => y))];
  const x = (value) => LEFT + 8 + ((WIDTH - LEFT - 8) * value) / most;
  const y = (value) => HEIGHT * (1 - (value - low) / (high - low || 1));
  const svg = draw("svg", { viewBox: `0 -10 ${WIDTH} ${HEIGHT + FOOT + 10}`, role: "img", "aria-label": title });
  for (const value of [low, (low + high) / 2, high]) {
    svg.append(draw("line", { class: "grid", x1: LEFT + 8, x2: WIDTH, y1: y(value), y2: y(value) }));
    svg.append(draw("text", { x: LEFT + 2, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2)));
  }
  const style = (index) => ({ "data-line": index % 3, "stroke-dasharray": MARKS[Math.floor(index / 3) % MARKS.length] });
  series.forEach((each, index) => {
    svg.append(draw("polyline", { class: "curve", ...style(index), points: each.points.map(([at, value]) => `${x(at)},${y(value)}`).join(" ") }));
    if (each.points.length === 1) svg.append(draw("circle", { class: "curve", ...style(index), cx: x(each.points[0][0]), cy: y(each.points[0][1]), r: 3 }));
  });
  for (const [value, anchor] of [[0, "start"], [most, "end"]]) {
    svg.append(draw("text", { x: x(value), y: HEIGHT + FOOT - 5, "text-anchor": anchor }, String(value)));
  }
  const swatch = (index) => draw("svg", { viewBox: "0 0 28 6", class: "swatch", "aria-hidden": "true" }, draw("line", { class: "curve", ...style(index), x1: 0, x2: 28, y1: 3, y2: 3 }));
  const legend = make("div", { class: "legend" }, ...series.map((each, index) => make("span", {}, swatch(index), each.name)));
  const steps = [...new Set(points.map(([at]) => at))].sort((one, other) => one - other);
  const at = (each, step) => each.points.find(([found]) => found === step)?.[1]?.toFixed(3) ?? "";
  const rows = steps.map((step) => ({ title: String(step), values: series.map((each) => at(each, step)) }));
  return make("div", { class: "plot" }, legend, svg, table(title, [across, ...series.map((each) => each.name)], rows));
}
