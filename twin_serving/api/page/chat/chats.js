// The chats of this browser: their ids and first questions, which never leave it, and the list to come back to them.
// What was answered is asked of the server.

import { call } from "../parts/api.js";
import { $, button, make, muted } from "../parts/elements.js";

const CHATS = "chats";
const OPEN = "chat"; // of this tab, so that a reload shows it again
const MOST = 50;
const LONGEST = 200;

function chats() {
  try {
    return JSON.parse(localStorage.getItem(CHATS)) ?? [];
  } catch {
    return [];
  }
}

const keep = (found) => localStorage.setItem(CHATS, JSON.stringify(found.slice(0, MOST)));

export const opened = () => sessionStorage.getItem(OPEN);
export const leave = () => sessionStorage.removeItem(OPEN);
export const enter = (id) => sessionStorage.setItem(OPEN, id);

// Puts a chat on top of the list; its question is the first that was asked in it.
export function remember(id, question) {
  const others = chats().filter((each) => each.id !== id);
  const known = chats().find((each) => each.id === id);
  keep([known ?? { id, question: question.slice(0, LONGEST) }, ...others]);
}

export function drop(id) {
  keep(chats().filter((each) => each.id !== id));
  if (opened() === id) leave();
}

// All turns of a chat, in the order in which they were asked, and whose twin answered.
export async function read(id) {
  const turns = [];
  let query = "?limit=200";
  for (;;) {
    const found = await (await call(`/conversations/${encodeURIComponent(id)}${query}`)).json();
    turns.unshift(...found.turns.reverse());
    if (!found.next) return { author: found.author, turns };
    query = `?limit=200&cursor=${encodeURIComponent(found.next)}`;
  }
}

// --- the list -----------------------------------------------------------------------------------------------------

// Wires the list; `reopen` shows a chat, `ended` is told which one was deleted.
export function wireList({ reopen, ended }) {
  $("earlier").addEventListener("click", () => {
    $("chats-note").textContent = "";
    list(reopen, ended);
    $("chats").showModal();
  });
  $("chats-close").addEventListener("click", () => $("chats").close());
  $("chats").addEventListener("click", (event) => {
    if (event.target === $("chats")) $("chats").close();
  });
}

function list(reopen, ended) {
  const found = chats();
  $("chats-none").hidden = found.length > 0;
  $("chats-list").replaceChildren(...found.map((chat) => entry(chat, reopen, ended)));
}

function entry({ id, question }, reopen, ended) {
  const here = opened() === id;
  const choose = button({ class: "open", "aria-current": here ? "true" : null }, () => {
    $("chats").close();
    reopen(id);
  }, question);
  let sure = false;
  const remove = button({ class: "quiet", "aria-label": `Delete: ${question}` }, async () => {
    if (!sure) {
      sure = true;
      remove.textContent = "Really delete?";
      remove.setAttribute("aria-label", `Really delete? ${question}`);
      return;
    }
    $("chats-note").textContent = await end(id, ended);
    list(reopen, ended);
    $("chats-close").focus();
  }, "Delete");
  return make("li", {}, choose, here ? muted("open now") : null, remove);
}

async function end(id, ended) {
  try {
    await call(`/conversations/${encodeURIComponent(id)}`, { method: "DELETE" });
  } catch (error) {
    if (error.status !== 404) return error.message;
  }
  drop(id);
  ended(id);
  return "Deleted, on the server too.";
}
