/** Small marks. Each state has a shape of its own, so that no colour is needed to tell them apart. */

import { s } from "../dom.js";

const PATHS = {
  dot: "M8 4a4 4 0 1 1 0 8a4 4 0 0 1 0-8z",
  ring: "M8 3.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 0 1 0-9zm0 1.8a2.7 2.7 0 1 0 0 5.4a2.7 2.7 0 0 0 0-5.4z",
  half: "M8 3.5a4.5 4.5 0 1 1 0 9zM8 3.5a4.5 4.5 0 1 0 0 9v-1.6a2.9 2.9 0 0 1 0-5.8z",
  check: "M3 8.4l1.3-1.3 2.5 2.5 5-5.2L13.1 5.7l-6.3 6.6z",
  cross: "M4.4 3.2L8 6.8l3.6-3.6 1.2 1.2L9.2 8l3.6 3.6-1.2 1.2L8 9.2l-3.6 3.6-1.2-1.2L6.8 8 3.2 4.4z",
  warn: "M8 2.2l6.2 11.3H1.8zM7.2 6v4h1.6V6zm0 5v1.5h1.6V11z",
  clock: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zm0 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9zM7.3 4.8h1.4v2.9l2 1.2-.7 1.2-2.7-1.6z",
  hold: "M4.5 3.5h2.5v9H4.5zM9 3.5h2.5v9H9z",
  back: "M6.5 3L2.5 7l4 4V8.2h3a2 2 0 0 1 0 4H7v1.6h2.5a3.6 3.6 0 0 0 0-7.2h-3z",
  trial: "M6 2h4v1.3h-.6v3.2l3.6 6A1 1 0 0 1 12.2 14H3.8a1 1 0 0 1-.8-1.5l3.6-6V3.3H6zm1.9 1.3v3.5L6.3 9.5h3.4L8.1 6.8V3.3z",
  same: "M3 5.5h10V7H3zM3 9h10v1.5H3z",
  plus: "M7.2 3h1.6v4.2H13v1.6H8.8V13H7.2V8.8H3V7.2h4.2z",
  minus: "M3 7.2h10v1.6H3z",
  down: "M3.5 5.5L8 10l4.5-4.5 1.1 1.1L8 12.2 2.4 6.6z",
  search: "M7 2.5a4.5 4.5 0 0 1 3.6 7.2l3 3-1.1 1.1-3-3A4.5 4.5 0 1 1 7 2.5zM7 4a3 3 0 1 0 0 6a3 3 0 0 0 0-6z",
};

const OF_KIND = { good: "check", warn: "warn", bad: "cross", trial: "trial", quiet: "same", held: "hold", time: "clock", undone: "back", info: "ring" };
const OF_STATE = { current: "dot", trial: "trial", behind: "half", late: "clock", declined: "hold", disconnected: "cross" };

/** @param {keyof PATHS} name */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" }, s("path", { d: PATHS[name], "fill-rule": "evenodd" }));
}

export function kindIcon(kind) {
  return icon(OF_KIND[kind] ?? "ring");
}

export function stateIcon(state) {
  return icon(OF_STATE[state] ?? "ring");
}
