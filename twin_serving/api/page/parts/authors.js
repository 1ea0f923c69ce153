// The choice of the author, which stays the same from page to page.

import { call } from "./api.js";
import { $, make } from "./elements.js";

const CHOSEN = "author";

export async function loadAuthors() {
  const { authors } = await (await call("/authors")).json();
  $("author").replaceChildren(...authors.map((each) => make("option", { value: each.id }, each.name)));
  const before = sessionStorage.getItem(CHOSEN);
  if (authors.some((each) => each.id === before)) $("author").value = before;
  $("author").parentElement.hidden = authors.length < 2;
  return authors;
}

export function onAuthor(then) {
  $("author").addEventListener("change", () => {
    sessionStorage.setItem(CHOSEN, $("author").value);
    then();
  });
}

export const author = () => $("author").value;
