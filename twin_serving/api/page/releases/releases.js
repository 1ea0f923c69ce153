// The page on which a person decides which version speaks. Reports are data: all of them go on the page as text.

import { ask, leave } from "./decision.js";
import { render } from "./report.js";
import { askForKey, call, write } from "../parts/api.js";
import { author, loadAuthors, onAuthor } from "../parts/authors.js";
import { $, button, make } from "../parts/elements.js";

const state = { next: null, releases: [], open: null };

const percent = (share) => `${Number((100 * share).toFixed(1))}%`;
const minute = (moment) => new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

function fail(error) {
  $("failure").hidden = !error;
  $("failure").textContent = error ? error.message : "";
}

// --- versions -----------------------------------------------------------------------------------------------------

async function load({ more = false } = {}) {
  if (!author()) return;
  const query = new URLSearchParams({ author: author(), limit: 20 });
  if (more) query.set("cursor", state.next);
  try {
    const found = await (await call(`/releases?${query}`)).json();
    state.next = found.next;
    state.releases = more ? [...state.releases, ...found.releases] : found.releases;
    $("versions").replaceChildren(...state.releases.map(row));
    $("no-versions").hidden = state.releases.length > 0;
    $("more").hidden = !found.next;
    showChampion();
    fail(null);
  } catch (error) {
    fail(error);
  }
}

function pills(release) {
  const found = [];
  if (release.problem) found.push(["on canary, and does not answer", "bad"]);
  else if (release.share !== null) found.push([`on canary, ${percent(release.share)}`, release.serving ? "good" : "warn"]);
  else if (release.serving) found.push(["speaks now", "good"]);
  else if (release.aliases.includes("champion")) found.push(["takes over", "good"]);
  if (release.aliases.includes("previous")) found.push(["the one before", ""]);
  if (release.retired_because) found.push(["retired", "bad"]);
  else if (rejected(release)) found.push(["rejected", "bad"]);
  else if (release.aliases.includes("candidate") && !release.aliases.includes("champion")) found.push(["waits for a decision", "warn"]);
  if (!release.passed) found.push([release.gate.failed ? "held back by the gate" : "not measured yet", release.gate.failed ? "bad" : ""]);
  return found.map(([text, kind]) => make("span", { class: "pill", "data-kind": kind }, text));
}

const rejected = (release) => release.decision?.action === "reject";

function row(release) {
  const facts = `${release.kind === "dpo" ? "trained on preferences" : "trained on instructions"} over ${release.base.split("/").at(-1)} · ${minute(release.created_at)}`;
  return make(
    "li",
    {},
    button(
      { class: "version", "aria-expanded": String(state.open === release.version), "aria-controls": "report" },
      () => show(release.version),
      make("span", { class: "head" }, make("strong", {}, release.version), ...pills(release)),
      make("span", { class: "facts" }, facts),
    ),
  );
}

function showChampion() {
  const champion = state.releases.find((each) => each.aliases.includes("champion"));
  const before = state.releases.find((each) => each.aliases.includes("previous"));
  $("champion").replaceChildren(
    ...(champion
      ? [make("strong", {}, champion.version), champion.serving ? " answers readers" : " takes over within seconds", champion.decision ? `, ${decided(champion.decision)}.` : "."]
      : ["No version was approved yet: the author's own sentences and the base model answer."]),
  );
  const canary = state.releases.find((each) => each.share !== null);
  $("canary").hidden = !canary;
  $("canary").replaceChildren(
    ...(canary
      ? [make("strong", {}, canary.version), trial(canary), canary.decision ? `, since ${minute(canary.decision.at)}, ${whom(canary.decision.by)}${why(canary.decision)}.` : "."]
      : []),
  );
  $("canary-problem").hidden = !canary?.problem;
  $("canary-problem").textContent = canary?.problem ? `It gets no conversation: ${canary.problem}. The version that speaks answers all of them meanwhile. Reject it, or put it right; it is tried again every few seconds.` : "";
  $("rollback").hidden = !before;
  $("rollback").textContent = before ? `Go back to ${before.version}` : "";
}

function trial(canary) {
  const share = `${percent(canary.share)} of the conversations beside it`;
  if (canary.problem) return ` is to answer ${share}, and cannot`;
  return canary.serving ? ` answers ${share}` : ` is to answer ${share}, once it is loaded`;
}

const ACTIONS = { approve: "approved", reject: "rejected", rollback: "brought back", canary: "put on canary" };
const decided = ({ action, by, at, comment, share }) => `${ACTIONS[action] || action}${share ? `, ${percent(share)} of the conversations,` : ""} ${whom(by)}, ${minute(at)}${why({ comment })}`;
const whom = (by) => (by === "automatic" ? "automatically" : `by ${by}`);
const why = ({ comment }) => (comment ? `: “${comment}”` : "");

// --- one version --------------------------------------------------------------------------------------------------

async function show(version) {
  try {
    const found = await (await call(`/releases/${encodeURIComponent(version)}/report`)).json();
    state.open = version;
    $("versions").replaceChildren(...state.releases.map(row));
    const { release } = found;
    $("report-title").textContent = release.version;
    $("standing").textContent = standing(release);
    $("approve").disabled = !release.passed || Boolean(release.retired_because) || release.aliases.includes("champion");
    $("start-canary").disabled = $("approve").disabled || !state.releases.some((each) => each.aliases.includes("champion"));
    $("reject").disabled = Boolean(release.retired_because) || release.aliases.includes("champion");
    render($("report-body"), found, decided);
    $("report").hidden = false;
    $("report").focus({ preventScroll: true });
    $("report").scrollIntoView({ block: "start" });
    fail(null);
  } catch (error) {
    fail(error);
  }
}

function standing(release) {
  if (release.retired_because) return `Retired: ${release.retired_because}.`;
  if (release.aliases.includes("champion")) return "This version speaks; to take it back, go back to the one before.";
  if (release.problem) return `On canary, and it gets no conversation: ${release.problem}. Reject it, or put it right.`;
  if (release.share !== null) return `On canary: it answers ${percent(release.share)} of the conversations, each from beginning to end. Approve it, or reject it to take it back.`;
  if (release.decision) return `Last ${decided(release.decision)}.`;
  if (!release.gate.rules) return "It was not measured yet; the graph does that after training.";
  return release.passed ? "The gate lets it through. Whether it speaks is your decision." : "The gate holds it back, so it cannot be approved; the rules below say why.";
}

// --- deciding -----------------------------------------------------------------------------------------------------

async function decide(path, body, said) {
  const release = await (await write(path, body)).json();
  leave();
  $("done").textContent = said(release);
  await load();
  if (state.open) await show(state.open);
  $("done").scrollIntoView({ block: "center" });
}

const path = (what) => `/releases/${encodeURIComponent(state.open)}/${what}`;

$("approve").addEventListener("click", () =>
  ask({
    title: `Let ${state.open} speak?`,
    text: "It takes over within seconds, without an interruption. The version that speaks now is kept, and you can go back to it.",
    label: "Why (optional)",
    action: "Approve",
    then: (comment) => decide(path("approve"), { by: "releases page", comment }, (release) => `${release.version} was approved and takes over.`),
  }),
);
$("start-canary").addEventListener("click", () =>
  ask({
    title: `Try ${state.open} on a share?`,
    text: "It answers that share of the conversations beside the version that speaks, each from beginning to end. It is withdrawn by itself where readers certainly fare worse on it. In mode auto an adapter without a licence writes nothing into answers, so there it is only heard where a text is asked for.",
    label: "Why (optional)",
    action: "Try it",
    share: state.releases.find((each) => each.version === state.open)?.share ?? 0.1,
    then: (comment, share) => decide(path("canary"), { by: "releases page", comment, share }, (release) => `${release.version} answers ${percent(release.share)} of the conversations from now on.`),
  }),
);
$("reject").addEventListener("click", () =>
  ask({
    title: `Reject ${state.open}?`,
    text: "It will not take over by itself. You can still approve it later.",
    label: "Why",
    needed: true,
    action: "Reject",
    then: (comment) => decide(path("reject"), { by: "releases page", comment }, (release) => `${release.version} was rejected.`),
  }),
);
$("rollback").addEventListener("click", () =>
  ask({
    title: `${$("rollback").textContent}?`,
    text: "It takes over within seconds. The version that speaks now is kept as the one before.",
    label: "Why (optional)",
    action: "Go back",
    then: (comment) => decide("/releases/rollback", { author: author(), by: "releases page", comment }, (release) => `${release.version} speaks again.`),
  }),
);

function change() {
  $("report").hidden = true;
  $("done").textContent = "";
  state.open = null;
  load();
}

const start = () => loadAuthors().then(() => load(), fail);

onAuthor(change);
askForKey(start);
$("choices").addEventListener("submit", (event) => event.preventDefault());
$("more").addEventListener("click", () => load({ more: true }));
start();
