// The dialog that asks before anything is decided.

import { $ } from "../parts/elements.js";

let act = null;

// `then` is given the comment, and the share where one is asked for; where it throws, the dialog stays and says why.
export function ask({ title, text, label, action, needed = false, share = null, then }) {
  act = then;
  $("decision-title").textContent = title;
  $("decision-text").textContent = text;
  $("decision-failure").hidden = true;
  $("comment-label").textContent = label;
  $("comment").required = needed;
  $("comment").value = "";
  $("share-row").hidden = share === null;
  $("share").disabled = share === null;
  $("share").value = share === null ? "" : Math.round(100 * share);
  $("share").required = share !== null;
  $("decide").textContent = action;
  $("decide").disabled = false;
  $("decision").showModal();
  $(share === null ? "comment" : "share").focus();
}

export const leave = () => $("decision").close();

$("decision-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("decide").disabled = true;
  try {
    await act($("comment").value.trim(), Number($("share").value) / 100);
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
