// Talking to the API, with the key that the person gave; it stays in the page.

import { $ } from "./elements.js";

let key = "";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export async function call(path, options = {}) {
  const headers = { ...(options.body ? { "Content-Type": "application/json" } : {}) };
  if (key) headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached. Is it running?");
  }
  if (response.status === 401) {
    $("key-form").hidden = false;
    $("key").focus();
  }
  if (!response.ok && !(path === "/readyz" && response.status === 503)) throw new ApiError(await reason(response), response.status);
  return response;
}

async function reason(response) {
  try {
    const problem = await response.json();
    const detail = problem.detail || problem.error?.message || response.statusText;
    return problem.trace_id ? `${detail} (trace ${problem.trace_id.slice(0, 8)})` : detail;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

// Wires the form that `call` shows where a key is needed; `then` runs once there is one.
export function askForKey(then) {
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    key = $("key").value.trim();
    $("key").value = "";
    $("key-form").hidden = true;
    then();
  });
}
