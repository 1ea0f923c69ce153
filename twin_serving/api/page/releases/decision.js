// The dialog that asks before anything is decided.

import { $ } from "../parts/elements.js";

let act = null;

// `then` is given the comment; where it throws, the dialog stays and says why.
export function ask({ title, text, label, action, needed = false, then }) {
  act = then;
  $("decision-title").textContent = title;
  $("decision-text").textContent = text;
  $("decision-failure").hidden = true;
  $("comment-label").textContent = label;
  $("comment").required = needed;
  $("comment").value = "";
  $("decide").textContent = action;
  $("decide").disabled = false;
  $("decision").showModal();
  $("comment").focus();
}

export const leave = () => $("decision").close();

$("decision-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("decide").disabled = true;
  try {
    await act($("comment").value.trim());
  } catch (error) {
    $("decision-failure").textContent = error.message;
    $("decision-failure").hidden = false;
    $("decide").disabled = false;
  }
});
$("decision-leave").addEventListener("click", leave);
$("decision").addEventListener("click", (event) => {
  if (event.target === $("decision")) leave();
});
