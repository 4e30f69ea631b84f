/**
 * A grid of thousands of rows, of which only those in sight are in the page.
 *
 * The grid has the focus, and says by `aria-activedescendant` which row is meant: so the focus is not lost when a row
 * leaves the page. Rejected: `content-visibility` on real rows (5,000 rows take 60 ms for each letter of a search).
 */

import { h } from "../dom.js";

const MORE = 8; // rows above and below what is in sight
const phone = matchMedia("(max-width: 720px)");

export class VirtualList {
  /** @param {{label: string, columns: string[], changed: () => void, row: (item: any) => any[], chosen: (item: any) => void}} how */
  constructor(how) {
    this.how = how;
    this.offset = 0;
    this.height = 600;
    this.active = 0;
    this.items = [];
    this.sizes = new ResizeObserver(([entry]) => {
      this.height = entry.contentRect.height;
      how.changed();
    });
  }

  get rowHeight() {
    return phone.matches ? 58 : 30;
  }

  /** Back to the first row, as for another search. */
  top() {
    this.active = 0;
    if (this.element) this.element.scrollTop = 0;
  }

  /** @param {string} id @param {{key: string}[]} items @param {string | undefined} chosen the key of the chosen one */
  render(id, items, chosen) {
    this.items = items;
    this.active = Math.min(this.active, items.length - 1);
    const first = Math.max(0, Math.floor(this.offset / this.rowHeight) - MORE);
    const last = Math.min(items.length, Math.ceil((this.offset + this.height) / this.rowHeight) + MORE);
    const there = this.active >= first && this.active < last;
    return h("div", {
      key: id, id, class: "grid", role: "grid", tabindex: "0", "aria-label": this.how.label, "aria-rowcount": items.length + 1, "aria-colcount": this.how.columns.length,
      "aria-activedescendant": there ? `${id}-${this.active}` : null,
      onkeydown: (event) => this.#key(event),
      onscroll: (event) => { this.offset = event.target.scrollTop; this.how.changed(); },
      ref: (element) => { this.element = element; this.offset = 0; this.sizes.disconnect(); this.sizes.observe(element); },
    },
      h("div", { role: "rowgroup", class: "grid-head" }, h("div", { role: "row", "aria-rowindex": 1, class: "grid-row" }, this.how.columns.map((each) => h("span", { role: "columnheader", key: each }, each)))),
      h("div", { role: "rowgroup", class: "grid-body", css: { "--height": `${items.length * this.rowHeight}px` } },
        items.slice(first, last).map((each, at) => this.#row(id, each, first + at, chosen))));
  }

  #row(id, item, index, chosen) {
    const classes = `grid-row${index === this.active ? " active" : ""}${item.key === chosen ? " chosen" : ""}`;
    return h("div", {
      key: item.key, id: `${id}-${index}`, role: "row", class: classes, "aria-rowindex": index + 2, "aria-selected": String(item.key === chosen),
      css: { "--top": `${index * this.rowHeight}px` },
      onclick: () => { this.active = index; this.how.chosen(item); },
    }, this.how.row(item).map((each, at) => h("span", { role: "gridcell", key: at }, each)));
  }

  /** Have the row of this index in sight, as soon as the list is there. @param {number} index */
  reveal(index) {
    if (index < 0) return;
    this.active = index;
    requestAnimationFrame(() => {
      if (!this.element?.isConnected) return;
      this.#reveal();
      this.how.changed();
    });
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.height / this.rowHeight) - 1);
    const goes = { ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page, PageUp: this.active - page, Home: 0, End: this.items.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.how.chosen(this.items[this.active]);
    }
    if (goes === undefined) return;
    event.preventDefault();
    this.active = Math.min(this.items.length - 1, Math.max(0, goes));
    this.#reveal();
    this.how.changed();
  }

  #reveal() {
    const head = this.element.querySelector(".grid-head").offsetHeight;
    const top = this.active * this.rowHeight;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + this.rowHeight + head > this.element.scrollTop + this.height) this.element.scrollTop = top + this.rowHeight + head - this.height;
    this.offset = this.element.scrollTop;
  }
}
