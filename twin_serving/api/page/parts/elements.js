// Making nodes. Whatever the API gave is put on the page as text, never as HTML.

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) node.setAttribute(name, value);
  node.append(...children.filter((child) => child != null));
  return node;
}

export function button(attributes, onClick, ...children) {
  const node = make("button", { type: "button", ...attributes }, ...children);
  node.addEventListener("click", onClick);
  return node;
}

// A link where the address is one of the web; else its text alone, with the address on hover.
export function link(url, attributes, ...children) {
  const isWeb = /^https?:\/\//i.test(url || "");
  return isWeb
    ? make("a", { href: url, target: "_blank", rel: "noopener noreferrer", ...attributes }, ...children)
    : make("span", { ...attributes, title: url }, ...children);
}

export const muted = (text) => make("span", { class: "muted" }, text);
export const counted = (number, noun) => `${number} ${noun}${String(number) === "1" ? "" : "s"}`;
export const shown = (url) => url.replace(/^https?:\/\/(www\.)?/, "");
