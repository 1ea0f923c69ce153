// Talking to the API, with the key that the person gave; it stays in the tab, over all pages.

import { $ } from "./elements.js";

const KEY = "key";
let key = sessionStorage.getItem(KEY) || "";

export class ApiError extends Error {
  constructor(message, status, kind) {
    super(message);
    this.status = status;
    this.kind = kind; // of the problem, the end of its type
  }
}

const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});

export async function call(path, options = {}) {
  const headers = { ...(options.body ? { "Content-Type": "application/json" } : {}), ...options.headers, ...authorization() };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached. Is it running?");
  }
  if (response.status === 401) showKeyForm();
  if (!response.ok && !(path === "/readyz" && response.status === 503)) throw await failed(response);
  return response;
}

function showKeyForm() {
  $("key-form").hidden = false;
  $("key").focus();
}

// Not `randomUUID`, which browsers withhold from pages that come over plain HTTP from another machine.
export const unique = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// A write that is safe to send again: with one key it is done once.
export function write(path, body) {
  return call(path, { method: "POST", body: JSON.stringify(body), headers: { "Idempotency-Key": unique() } });
}

// Sends a file; `sent` is told the share that was sent, `told` each event that the server answers with.
export function upload(path, file, { sent, told }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let read = 0;
    const events = () => {
      for (let end = request.responseText.indexOf("\n\n", read); end >= 0; end = request.responseText.indexOf("\n\n", read)) {
        const lines = request.responseText.slice(read, end).split("\n");
        read = end + 2;
        told(lines[0].slice("event: ".length), JSON.parse(lines[1].slice("data: ".length)));
      }
    };
    request.open("POST", path);
    request.setRequestHeader("Accept", "text/event-stream");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && sent(event.loaded / event.total));
    request.addEventListener("progress", () => request.status === 200 && events());
    request.addEventListener("error", () => reject(new ApiError("The connection broke off. Is the server running?")));
    request.addEventListener("load", () => {
      if (request.status === 200) {
        events();
        resolve();
        return;
      }
      if (request.status === 401) showKeyForm();
      reject(new ApiError(problem(request), request.status));
    });
    request.send(file);
  });
}

function problem(request) {
  try {
    return JSON.parse(request.responseText).detail;
  } catch {
    return `The server answered ${request.status}.`;
  }
}

async function failed(response) {
  try {
    const problem = await response.json();
    const detail = problem.detail || problem.error?.message || response.statusText;
    const message = problem.trace_id ? `${detail} (trace ${problem.trace_id.slice(0, 8)})` : detail;
    return new ApiError(message, response.status, problem.type?.split(":").at(-1));
  } catch {
    return new ApiError(`The server answered ${response.status}.`, response.status);
  }
}

// Wires the form that `call` shows where a key is needed; `then` runs once there is one.
export function askForKey(then) {
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    key = $("key").value.trim();
    sessionStorage.setItem(KEY, key);
    $("key").value = "";
    $("key-form").hidden = true;
    then();
  });
}
