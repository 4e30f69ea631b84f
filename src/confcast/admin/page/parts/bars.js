/** Durations as pictures: a bar of a reload's phases, and the last reloads as columns. Numbers stand beside each. */

import { h, s } from "../dom.js";
import { ms, result } from "../format.js";

export const PHASES = [
  ["load_ms", "load", "sources read, merged, validated"],
  ["stage_ms", "votes", "every worker builds it and votes"],
  ["journal_ms", "journal", "written: the commit point"],
  ["commit_ms", "commit", "every worker swaps"],
];

/** The phases of an event in words. */
export function phasesInWords(event) {
  const parts = PHASES.filter(([name]) => event[name] > 0).map(([name, word]) => `${word} ${ms(event[name])}`);
  return parts.length ? parts.join(", ") : ms(event.duration_ms);
}

/** One bar, as long as the event took compared with `longest` (ms). */
export function bar(event, longest) {
  const scale = 1000 / Math.max(longest, 0.001);
  let at = 0;
  const parts = PHASES.map(([name]) => {
    const width = Math.max(0, event[name]) * scale;
    const rect = s("rect", { key: name, class: name, x: at, y: 0, width: Math.max(width, width > 0 ? 3 : 0), height: 10 });
    at += width;
    return rect;
  });
  return s("svg", { class: "bar", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img", "aria-label": phasesInWords(event) }, parts);
}

/** What the colours mean. */
export function legend() {
  return h("ul", { class: "legend", "aria-label": "phases" }, PHASES.map(([name, word, words]) =>
    h("li", { key: name, title: words }, s("svg", { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" }, s("rect", { class: name, width: 10, height: 10 })), word)));
}

const [GAP, HIGH] = [4, 72];

/**
 * Reloads as columns, the newest at the right; one that was refused has a cross below.
 * @param {any[]} events newest first
 */
export function columns(events, most) {
  const list = events.slice(0, most).reverse();
  const longest = Math.max(...list.map((each) => each.duration_ms), 1);
  const wide = list.length > 40 ? 9 : list.length > 20 ? 14 : 22;
  const width = list.length * (wide + GAP);
  const words = `Durations of the last ${list.length} reloads; the longest took ${ms(longest)}.`;
  return h("figure", { class: "columns", tabindex: "0", "aria-label": "the last reloads" },
    s("svg", { viewBox: `0 0 ${width} ${HIGH + 14}`, width, height: HIGH + 14, role: "img", "aria-label": words },
      list.map((each, at) => column(each, at * (wide + GAP), wide, HIGH / longest))),
    h("figcaption", null, `the last ${list.length}; the longest ${ms(longest)}`));
}

function column(event, x, wide, scale) {
  let top = HIGH;
  const [kind, words] = result(event.result);
  const parts = PHASES.map(([name]) => {
    const height = Math.max(0, event[name]) * scale;
    top -= height;
    return s("rect", { key: name, class: name, x, y: top, width: wide, height });
  });
  const under = kind === "bad" || kind === "warn" ? s("path", { class: `mark ${kind}`, d: `M${x + wide / 2 - 3} ${HIGH + 4}l6 6m0-6l-6 6` }) : s("circle", { class: `mark ${kind}`, cx: x + wide / 2, cy: HIGH + 7, r: 1.6 });
  return s("g", { key: `${event.timestamp}-${event.version}-${event.origin}` },
    s("title", null, `${words}, ${phasesInWords(event)}`), parts, under);
}
