// The panel that says where an answer comes from: model, passages, dataset, documents.

import { call } from "../parts/api.js";
import { $, counted, link, make, muted, shown } from "../parts/elements.js";

export async function showLineage(trace, kind) {
  const body = $("lineage-body");
  body.replaceChildren(make("p", { class: "muted" }, "Looking…"));
  $("lineage").showModal();
  try {
    body.replaceChildren(...lineage(await (await call(`/lineage?trace_id=${encodeURIComponent(trace)}`)).json(), kind));
  } catch (error) {
    body.replaceChildren(make("p", { class: "failure" }, error.message));
  }
}

function lineage(found, kind) {
  const parts = [];
  const adapter = found.adapter;
  const byModel = kind === "generate" || kind === "write";
  parts.push(
    section(
      "Model",
      facts([
        ["Wrote", byModel ? null : "none of it"],
        ["Base", byModel ? found.base : null],
        ["Adapter", adapter ? out(found.links.adapter, adapter.version) : byModel ? "none: the base answered" : null],
        ["Trained", adapter && new Date(adapter.created_at).toLocaleString()],
        ["Retired", adapter?.retired_because],
        ["Experiment", found.links.experiment && out(found.links.experiment, "in MLflow")],
      ]),
    ),
  );
  parts.push(
    section(
      byModel ? "Passages the model was given" : "Passages that are quoted",
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
const out = (url, text) => (url ? link(url, {}, text) : text);

function facts(rows) {
  const list = make("dl");
  for (const [name, value] of rows) if (value) list.append(make("dt", {}, name), make("dd", {}, value));
  return list;
}

$("lineage-close").addEventListener("click", () => $("lineage").close());
$("lineage").addEventListener("click", (event) => {
  if (event.target === $("lineage")) $("lineage").close();
});
