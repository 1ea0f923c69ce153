// What was measured of a version, in plain words.

import { call } from "../parts/api.js";
import { counted, make, muted } from "../parts/elements.js";
import { sequence } from "../parts/plots.js";

const RULES = {
  better_than_base: "It predicts the author's unseen text better than the base model",
  gain_is_certain: "That gain is no accident",
  not_worse_than_champion: "It predicts it no worse than the version that speaks",
  predicts_its_author_best: "It predicts it better than the adapter of any other author",
  sounds_no_less_than_base: "It sounds no less like the author than the base model",
  sounds_no_less_than_champion: "It sounds no less like the author than the version that speaks",
  does_not_recite: "It writes, and does not recite",
  does_not_memorise: "It does not know by heart what it was trained on",
  keeps_no_canaries: "Made-up sentences between its samples did not stay in it",
  does_not_forget: "It has not forgotten what its base model knows",
  follows_instructions: "It still does what it is told as its base model does",
  shadow_support: "On readers' questions its answers have no less support",
  shadow_silence: "On readers' questions it is silent no more often",
  shadow_style: "On readers' questions it sounds no less like the author",
  judge_prefers_no_other: "A judge that readers agree with does not prefer another's writing",
  blind_test: "Readers tell it from the author no more readily than the version that speaks",
};
const WHO = { author: "The author", base: "The base model", twin: "This version", adapter: "This version", champion: "The version that speaks", passages: "From passages" };

const ORDER = ["author", "base", "champion", "twin", "adapter", "passages", "twin + passages"];

const ordered = (members) => Object.entries(members || {}).sort(([one], [other]) => rank(one) - rank(other));
const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
const percent = (share) => `${(100 * share).toFixed(Math.abs(share) < 0.1 ? 1 : 0)}%`;
const signed = (share) => `${share > 0 ? "+" : ""}${percent(share)}`;
const number = (value) => (typeof value === "number" ? value.toFixed(2) : "");
const who = (arm) => WHO[arm] || arm.replaceAll("_", " ");

const WRONG = {
  failed: "A call failed",
  silent: "An answer said that nothing was written",
  unsupported: "Less than half of an answer was supported",
  down: "An answer was rated down",
};

const WORST = 10;
const MEASURES = { support: "Share of sentences with support", silence: "Share of answers that tell nothing", style: "How much it sounds like the author" };

export function render(target, { release, reports, blind_test: blind, canary, shadow, history }, decided) {
  const of = (kind) => reports.find((each) => each.kind === kind);
  target.replaceChildren(
    ...onCanary(canary, of("answers")),
    ...gate(release),
    ...loss(release, of("generation")),
    ...style(release, of("style")),
    ...judged(of("judge")),
    ...kept(release, of("generation")),
    ...asked(release, of("shadow"), shadow),
    ...readers(blind),
    ...answers(release, of("answers")),
    ...past(history, decided),
  );
}

function table(title, columns, rows) {
  const cell = (tag, text, kind, scope) => make(tag, { class: kind || null, scope }, text);
  const head = make("tr", {}, ...columns.map(([text, kind]) => cell("th", text, kind, "col")));
  const body = rows.map((row) => make("tr", {}, ...row.map((text, index) => cell("td", text, columns[index][1]))));
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": title }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
}

// --- the parts ----------------------------------------------------------------------------------------------------

function gate(release) {
  const found = release.gate.rules || {};
  const names = new Set([...Object.keys(RULES), ...Object.keys(found)]);
  const rules = [...names].filter((name) => found[name]).map((name) => [name, found[name]]);
  if (!rules.length) return [];
  const rows = rules.map(([name, rule]) => [
    RULES[name] || name.replaceAll("_", " "),
    fit(rule),
    make("span", {}, rule.found, make("br"), muted(`asked: ${rule.asked}`)),
  ]);
  return [make("h3", {}, "Is it fit to speak?"), table("Rules of the gate", [["What is asked of it"], ["Fit"], ["What was found"]], rows)];
}

function onCanary(canary, answered) {
  if (!canary) return [];
  const { conversations, of_champion: others, needed, figures, worse } = canary;
  const few = Math.min(conversations, others) < needed;
  const found = few ? `Nothing is decided before there are ${needed} on either side.` : worse ? `Readers certainly fare worse on it: ${worse}.` : "Nothing certain speaks against it.";
  const rows = figures.map((each) => [WRONG[each.name] || each.name, String(each.canary), String(each.champion), each.p_value < 1 ? each.p_value.toPrecision(2) : "1"]);
  return [
    make("h3", {}, "On canary"),
    make("p", {}, `${counted(conversations, "conversation")} with it, and ${others} with the version that speaks, over the same time. ${found}`),
    answered?.metrics.licensed ? null : make("p", {}, "It holds no licence to answer by itself, so in mode auto the author's own sentences answer with it as without it: it is heard where a text is asked for, and in modes generate and write."),
    table("Canary", [["In how many conversations"], ["This version", "number"], ["The version that speaks", "number"], ["p at most", "number"]], rows),
  ].filter(Boolean);
}

function fit(rule) {
  if (rule.counted === false) return make("span", { class: "pill" }, "not counted");
  return make("span", { class: "pill", "data-kind": rule.passed ? "good" : "bad" }, rule.passed ? "yes" : "no");
}

function loss(release, report) {
  if (!report) return [];
  const figures = report.metrics;
  const parts = [make("h3", {}, "How well it predicts the author")];
  if (figures.gain_interval) {
    const [low, high] = figures.gain_interval;
    const measured = figures.available > figures.samples ? `${figures.samples} of ${figures.available}` : figures.samples;
    const direction = figures.gain >= 0 ? "lower" : "higher";
    parts.push(
      make(
        "p",
        {},
        `On ${measured} answers of ${figures.documents} documents that no training saw, its loss is ${percent(Math.abs(figures.gain))} ${direction} than the base model's: the lower, the better it foresees the author's words. On other documents like these the gain is expected between ${percent(low)} and ${percent(high)} (95% interval).`,
      ),
    );
  }
  const rows = ordered(figures.loss).map(([model, value]) => [model === release.version ? `${model} (this one)` : model, number(value), number(figures.perplexity?.[model])]);
  const { rivals } = figures.tournament || {};
  if (rivals) rows.push([muted(rivals > 1 ? `the best of ${rivals} adapters of other authors` : "the adapter of another author"), number(figures.tournament.loss), number(Math.exp(figures.tournament.loss))]);
  if (rows.length) parts.push(table("Loss", [["Model"], ["Loss a token", "number"], ["Perplexity", "number"]], rows));
  return [...parts, ...worst(release, figures.by_document), ...plots(release, report), ...samples("What it writes, beside the author", figures.shown)];
}

// The held-out texts that it predicts worst stand first in what was measured.
function worst(release, texts) {
  if (!texts?.length) return [];
  const rows = texts.slice(0, WORST).map(({ title, published, loss }) => [title, published || "", number(loss[release.version]), number(loss.base)]);
  const columns = [["Text"], ["Published"], ["Loss a token", "number"], ["The base model's", "number"]];
  return [make("details", {}, make("summary", {}, "The texts that it predicts worst"), table("Texts predicted worst", columns, rows))];
}

// What a language model says of its texts beside others.
function judged(report) {
  if (!report) return [];
  const { answered, because, host, against, people } = report.metrics;
  const heading = make("h3", {}, "What a language model says of it");
  if (!answered) return [heading, make("p", {}, `The judge at ${host} gave no verdict: ${because}`)];
  const rows = Object.entries(against).map(([rival, each]) => [who(rival), String(each.wins), String(each.losses), String(each.ties), String(each.nonsense)]);
  const worth = people ? `Readers agree with it in ${people.agreed} of ${counted(people.votes, "answer")}.` : "No reader has judged what it decided, so nobody knows what it is worth.";
  const columns = [["Beside"], ["It is preferred", "number"], ["The other is", "number"], ["Neither, or not twice", "number"], ["Not to be read", "number"]];
  return [heading, make("p", {}, `Asked twice of each pair, in both orders, by ${host}. ${worth}`), table("Verdicts", columns, rows)];
}

// What else the base model can, and what became of it.
function kept(release, report) {
  const rows = [];
  const { forgetting, following } = report?.metrics || {};
  if (forgetting) {
    const [low, high] = forgetting.interval;
    const bits = (model) => number(forgetting.bits_per_byte[model].all);
    rows.push([`Bits a byte of ${forgetting.items} general questions and texts, lower is better`, bits(release.version), bits("base"), `${signed(forgetting.rise)} (${signed(low)} to ${signed(high)})`]);
  }
  if (following) {
    const [low, high] = following.interval;
    const followed = (model) => String(following.models[model]);
    rows.push([`Instructions followed, of ${following.instructions}`, followed(release.version), followed("base"), `${signed(following.difference)} (${signed(low)} to ${signed(high)})`]);
  }
  if (!rows.length) return [];
  return [make("h3", {}, "What it kept of its base model"), table("Kept abilities", [["Measure"], ["This version", "number"], ["The base model", "number"], ["Difference, 95% interval", "number"]], rows)];
}

function style(release, report) {
  if (!report) return [];
  const figures = report.metrics;
  const parts = [make("h3", {}, "How much it sounds like the author")];
  if (!figures.measured) return [...parts, make("p", {}, `Not measured: ${figures.because}.`)];
  const rows = ordered(figures.arms).map(([arm, mine]) => [
    who(arm),
    mine.score == null ? muted("not judged") : number(mine.score),
    mine.score == null ? "" : `${number(mine.low)} to ${number(mine.high)}`,
    percent(mine.copied),
  ]);
  parts.push(make("p", {}, "0 is how other people's writing scores, 1 how the author's own does. Copied is how much of it stands word for word in the author's documents."));
  parts.push(table("Style", [["Who writes"], ["Style", "number"], ["95% interval", "number"], ["Copied", "number"]], rows));
  return [...parts, ...plots(release, report), ...samples("Texts it wrote", figures.shown)];
}

function asked(release, report, shadow) {
  if (!report) return [];
  const { questions, champion, measures, unheard } = report.metrics;
  const rows = Object.entries(measures).map(([name, each]) => [
    MEASURES[name] || name,
    number(each.candidate),
    number(each.champion),
    `${number(each.difference)} (${number(each.low)} to ${number(each.high)})`,
    String(each.conversations),
  ]);
  const shown = shadow.map((each) => ({ instruction: each.question, champion: each.answer_beside, twin: each.answer }));
  return [
    make("h3", {}, "How it answers what readers asked"),
    make("p", {}, `${counted(questions, "question")} that a model answered were put to it and to ${champion} again; no reader got these answers.${unheard ? ` Style was not measured: ${unheard}.` : ""}`),
    table("Readers' questions", [["Measure"], ["This version", "number"], [champion, "number"], ["Difference, 95% interval", "number"], ["Conversations", "number"]], rows),
    ...samples("Readers' questions, answered by both", shown),
  ];
}

function readers({ version, aliases, pairs, right, answers, share, low, high, path }) {
  const offered = pairs > 0 && ["candidate", "champion", "previous"].some((alias) => aliases.includes(alias));
  if (!answers && !offered) return [];
  const query = new URLSearchParams({ version });
  const link = offered ? make("p", {}, make("a", { href: `/blind-test?${query}` }, `Take the blind test on ${version}`), ` (${counted(pairs, "pair")} of texts)`) : null;
  const found = answers
    ? `Beside it, ${right} of ${counted(answers, "answer")} found the author: ${percent(share)}, between ${percent(low)} and ${percent(high)} (95% confidence sequence). Guessing finds 50%.`
    : "No reader answered yet.";
  const plot = answers ? sequence("Share of answers that found the author", [{ answers: 0, share: null, low: 0, high: 1 }, ...path]) : null;
  return [make("h3", {}, "Whether readers can tell it from the author"), make("p", {}, found), plot, link].filter(Boolean);
}

function answers(release, report) {
  if (!report) return [];
  const figures = report.metrics;
  const parts = [make("h3", {}, "How it answers from passages")];
  if (figures.because) parts.push(make("p", {}, `${figures.because[0].toUpperCase()}${figures.because.slice(1)}.`));
  const rows = ordered(figures.arms).map(([arm, mine]) => [who(arm), String(mine.sentences), String(mine.supported), mine.support ? `${percent(mine.support.low)} to ${percent(mine.support.high)}` : ""]);
  if (rows.length) parts.push(table("Support", [["Model"], ["Sentences", "number"], ["Supported by a passage", "number"], ["Share, 95% interval", "number"]], rows));
  return [...parts, ...plots(release, report)];
}

function past(history, decided) {
  if (!history.length) return [];
  return [make("h3", {}, "What was decided so far"), make("ol", { class: "history" }, ...history.map((each) => make("li", {}, make("strong", {}, each.version), ` ${decided(each)}`)))];
}

// What each wrote to the same instruction, side by side; the first two are open to see.
function samples(title, shown) {
  if (!shown?.length) return [];
  const one = (sample) => {
    const cards = ordered(sample).filter(([name, text]) => name !== "instruction" && typeof text === "string" && text);
    return [
      make("p", { class: "asks" }, sample.instruction),
      make("div", { class: "side" }, ...cards.map(([name, text]) => make("section", { class: name === "author" ? "author" : null }, make("h4", {}, name === "twin + passages" ? "This version, with passages" : who(name)), make("div", { class: "words" }, text)))),
    ];
  };
  const rest = shown.slice(2);
  const more = rest.length ? [make("details", {}, make("summary", {}, `${rest.length} more`), ...rest.flatMap(one))] : [];
  return [make("h3", {}, title), ...shown.slice(0, 2).flatMap(one), ...more];
}

// Plots are fetched once they are opened, with the key, which an image by itself could not send.
function plots(release, report) {
  return report.plots.map((name) => {
    const details = make("details", {}, make("summary", {}, `Plot: ${name.replace(/\.png$/, "").replaceAll("_", " ")}`));
    details.addEventListener("toggle", () => details.childElementCount === 1 && draw(details, `/releases/${encodeURIComponent(release.version)}/plots/${report.kind}/${encodeURIComponent(name)}`, name), { once: true });
    return details;
  });
}

async function draw(details, path, name) {
  try {
    const reader = new FileReader();
    reader.addEventListener("load", () => details.append(make("img", { class: "plot", src: reader.result, alt: `Plot of ${name.replace(/\.png$/, "")}; its figures stand in the table above` })));
    reader.readAsDataURL(await (await call(path)).blob());
  } catch (error) {
    details.append(make("p", { class: "bad" }, error.message));
  }
}
