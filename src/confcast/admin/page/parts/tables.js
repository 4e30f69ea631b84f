/** Tables with headers; on a phone each row becomes a block, whose cells name their column. */

import { h } from "../dom.js";
import { icon } from "./icons.js";
import { shown } from "../format.js";

/**
 * @param {string} caption for a screen reader; the heading above says the same to the eye
 * @param {string[]} columns
 * @param {{key: string, cells: any[], class?: string}[]} rows
 */
export function table(caption, columns, rows) {
  return h("table", { class: "table" },
    h("caption", { class: "unseen" }, caption),
    h("thead", null, h("tr", null, columns.map((each) => h("th", { scope: "col", key: each }, each || h("span", { class: "unseen" }, "Actions"))))),
    h("tbody", null, rows.map((row) =>
      h("tr", { key: row.key, class: row.class ?? null }, row.cells.map((cell, at) =>
        h(at === 0 ? "th" : "td", { key: at, scope: at === 0 ? "row" : null, "data-label": columns[at] }, at === 0 ? cell : h("div", null, cell)))))));
}

/** What has become of a key, as a mark and as a word. */
function kind(change) {
  if (change.old === null && change.new === null) return ["", ""];
  if (change.old === null) return ["plus", "added"];
  if (change.new === null) return ["minus", "removed"];
  return ["", "changed"];
}

/**
 * Changes by key, with the value before and the one after.
 * @param {{key: string, old: any, new: any, note?: string}[]} changes
 */
export function changes(list, caption, [before, after] = ["before", "after"]) {
  return h("table", { class: "table diff" },
    h("caption", { class: "unseen" }, caption),
    h("thead", null, h("tr", null, ["key", before, after].map((each) => h("th", { scope: "col", key: each }, each)))),
    h("tbody", null, list.map((each) => change(each, before, after))));
}

function change(each, before, after) {
  const [mark, word] = kind(each);
  if (!word) return h("tr", { key: each.key }, h("th", { scope: "row", colspan: "3" }, each.key));
  const name = h("th", { scope: "row", class: "key" }, mark ? icon(mark) : null, h("code", null, each.key), h("span", { class: "unseen" }, ` ${word}`));
  if (each.note && JSON.stringify(each.old) === JSON.stringify(each.new)) {
    return h("tr", { key: each.key }, name, h("td", { colspan: "2", "data-label": after }, shown(each.new), h("span", { class: "note" }, each.note)));
  }
  return h("tr", { key: each.key },
    name,
    h("td", { class: "old", "data-label": before }, h("div", null, shown(each.old, "absent"))),
    h("td", { class: "new", "data-label": after }, h("div", null, shown(each.new, "absent"), each.note ? h("span", { class: "note" }, each.note) : null)));
}

/** Problems with their place; an excerpt of the file keeps its columns. */
export function problems(list) {
  return h("ul", { class: "problems" }, list.map((each, at) => {
    const text = typeof each === "string" ? { message: each } : each;
    return h("li", { key: at },
      text.location ? h("code", { class: "place" }, text.location) : null,
      text.key ? h("code", { class: "key" }, text.key) : null,
      h("span", null, text.message),
      text.excerpt ? h("pre", { tabindex: "0", "aria-label": "where it is" }, text.excerpt) : null);
  }));
}
