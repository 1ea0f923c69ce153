// Figures of trainings in words; what was not measured is told as that.

import { make, muted } from "../parts/elements.js";

export const minute = (moment) => new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
export const number = (value) => value.toFixed(Math.abs(value) < 10 ? 3 : 1);
export const share = (value) => `${(100 * value).toFixed(1)}%`;
export const figure = (value) => (value == null ? muted("–") : number(value));

// The figure, with its interval below it in small.
export function interval(span, told = (value) => value.toFixed(2)) {
  if (!span) return muted("–");
  const range = span.low == null || span.high == null ? null : make("small", {}, `${told(span.low)} to ${told(span.high)}`);
  return make("span", {}, told(span.value), range);
}

export function duration(seconds) {
  if (seconds == null) return muted("–");
  if (seconds < 90) return `${seconds.toFixed(0)} s`;
  return seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
