/**
 * Try a change, see each worker's vote and what would differ, and then apply it.
 *
 * What is applied is what was tried, on the version on which it was tried: if another one came to run meanwhile, the
 * server refuses, and the page says who changed what. A file's text can be tried only: no file of the host is written.
 */

import { h } from "../dom.js";
import { heading } from "../frame.js";
import { button, choice, field, panel, tabs } from "../parts/controls.js";
import { guardsOf, outcomePanel } from "../parts/outcome.js";
import { kindIcon } from "../parts/icons.js";
import { seconds, whole } from "../format.js";
import { place } from "../router.js";

const MODES = [["values", "Values"], ["file", "A whole file"]];
const TTL = [["", "until it is unset"], ["600", "10 minutes"], ["3600", "1 hour"], ["86400", "1 day"]];
const CONFIRM = [["", "it stays"], ["120", "2 minutes"], ["600", "10 minutes"], ["3600", "1 hour"]];
const SUGGESTED = 40;

/** @param {import("../app.js").App} app */
export function create(app) {
  return new Change(app);
}

class Change {
  constructor(app) {
    this.app = app;
    this.mode = "values";
    this.rows = [{ id: 1, key: "", value: "" }];
    this.file = { name: "", text: "" };
    this.how = { reason: "", ttl: "", confirm: "" };
    this.tried = null; // {body, seen}: what was tried last, and what ran then
    this.opened(place().query);
  }

  opened({ key, value }) {
    if (!key) return;
    this.mode = "values";
    const row = this.rows.find((each) => each.key === key) ?? this.rows.find((each) => !each.key) ?? this.#add();
    Object.assign(row, { key, value: value ?? row.value });
    this.tried = null;
  }

  drawn() {
    this.app.model.wantConfig();
  }

  again() {
    return this.#try();
  }

  get body() {
    if (this.mode === "file") return { files: { [this.file.name.trim()]: this.file.text } };
    return { values: Object.fromEntries(this.rows.filter((each) => each.key.trim()).map((each) => [each.key.trim(), each.value])) };
  }

  /** What is missing before it can be tried; empty if nothing is. */
  get missing() {
    if (this.mode === "file") return this.file.name.trim() ? "" : "say which file it stands for";
    return this.rows.some((each) => each.key.trim()) ? "" : "name a key first";
  }

  #add() {
    const row = { id: Math.max(0, ...this.rows.map((each) => each.id)) + 1, key: "", value: "" };
    this.rows.push(row);
    return row;
  }

  async #try() {
    const tried = { body: this.body, seen: this.app.model.newest };
    const outcome = await this.app.acts.run("Try", "check", tried.body, { where: "change" });
    const event = outcome.event ?? outcome.problem?.event;
    const allow = guardsOf(event);
    const may = allow.length || (event && ["success", "partial", "on_trial"].includes(event.result));
    this.tried = may ? { ...tried, allow } : null;
    this.app.redraw();
  }

  async #apply() {
    const { reason, ttl, confirm } = this.how;
    const { body, seen, allow } = this.tried;
    const more = { ...(allow.length ? { allow } : {}), ...(reason ? { reason } : {}), ...(ttl ? { ttl: seconds(ttl) } : {}), ...(confirm ? { confirm_within: seconds(confirm) } : {}) };
    const outcome = await this.app.acts.run("Apply", "set", { ...body, ...more }, { seen, where: "change" });
    if (outcome.event && outcome.problem === null) {
      this.rows = [{ id: 1, key: "", value: "" }];
      this.how = { reason: "", ttl: "", confirm: "" };
    }
    this.tried = null;
    this.app.redraw();
  }

  render() {
    const { acts } = this.app;
    const choose = (mode) => { this.mode = mode; this.tried = null; this.app.redraw(); };
    const mine = acts.outcome?.where === "change" ? acts.outcome : null;
    return h("div", { class: "change" },
      heading("Change", h("p", { class: "quiet" }, "First it is tried: the owner loads it, every worker votes, and all of it is dropped.")),
      acts.off && acts.off !== "another change is under way" ? h("p", { class: "state-line warn" }, kindIcon("warn"), `Nothing can be changed here: ${acts.off}.`) : null,
      tabs("mode", "What is changed", MODES, this.mode, choose),
      panel("mode", this.mode, h("form", { class: "trying", onsubmit: (event) => { event.preventDefault(); if (!this.missing && !acts.off) this.#try(); } },
        this.mode === "file" ? this.#file() : this.#values(),
        h("div", { class: "row" }, this.mode === "values" ? button("Add a key", { onclick: () => { this.#add(); this.app.redraw(); } }) : null,
          button(acts.busy === "Try" ? "Every worker votes…" : "Try it", { kind: this.tried ? "" : "primary", submit: true, off: acts.off || this.missing, onclick: () => {} })))),
      mine ? outcomePanel(this.app, mine) : null,
      this.tried && mine ? this.#next() : null);
  }

  #values() {
    const { config } = this.app.model.state;
    const known = new Map((config?.values ?? []).map((each) => [each.key, each]));
    return this.rows.map((row) => {
      const about = known.get(row.key.trim());
      const edit = (name) => (event) => { row[name] = event.target.value; this.tried = null; this.app.redraw(); };
      return h("div", { class: "pair", key: row.id },
        field("Key", { id: `key-${row.id}`, class: "input mono", value: row.key, list: `keys-${row.id}`, oninput: edit("key"), placeholder: "section.name" }),
        h("datalist", { id: `keys-${row.id}` }, suggested(config, row.key).map((each) => h("option", { key: each, value: each }))),
        field("Value", { id: `value-${row.id}`, class: "input mono", type: about?.secret ? "password" : "text", value: row.value, oninput: edit("value"), placeholder: "as in an environment variable" },
          about ? `now ${about.secret ? "a secret" : whole(about.value)}, ${about.origin}${about.type ? `; ${about.type}` : ""}` : ""),
        this.rows.length > 1 ? button("Remove", { small: true, kind: "plain", name: `Remove ${row.key || "this key"}`, onclick: () => { this.rows = this.rows.filter((each) => each !== row); this.tried = null; this.app.redraw(); } }) : null);
    });
  }

  #file() {
    const names = files(this.app.model.state.config);
    const edit = (name) => (event) => { this.file[name] = event.target.value; this.tried = null; this.app.redraw(); };
    const read = async (event) => {
      const [file] = event.target.files;
      if (!file) return;
      this.file.text = await file.text();
      this.file.name ||= names.find((each) => each === file.name || each.endsWith(`/${file.name}`)) ?? "";
      this.tried = null;
      this.app.redraw();
    };
    return [
      field("In the place of", { id: "file-name", class: "input mono", value: this.file.name, list: "file-names", oninput: edit("name"), placeholder: names[0] ?? "app.toml" }),
      h("datalist", { id: "file-names" }, names.map((each) => h("option", { key: each, value: each }))),
      field("Its whole text", { tag: "textarea", id: "file-text", class: "input mono", rows: "14", value: this.file.text, oninput: edit("text") }),
      h("div", { class: "field", key: "pick" }, h("label", { for: "file-pick" }, "or read it from this computer"), h("input", { id: "file-pick", type: "file", onchange: read })),
    ];
  }

  /** What can be done with what was tried. */
  #next() {
    if (this.mode === "file") {
      return h("section", { class: "next", key: "next" }, h("h2", null, "Then"),
        h("p", { class: "prose" }, "No file of the host is written from here. Put the text there; if files are watched it is loaded at once, else by ", button("Load the sources", { small: true, off: this.app.acts.off, onclick: () => this.app.acts.reload() }), "."));
    }
    const { newest } = this.app.model;
    const { allow } = this.tried;
    return h("form", { class: "next", key: "next", onsubmit: (event) => { event.preventDefault(); if (!this.app.acts.off) this.#apply(); } },
      h("h2", null, "Apply it"),
      newest !== this.tried.seen ? h("p", { class: "state-line warn", role: "status" }, kindIcon("warn"), `It was tried on version ${this.tried.seen}; meanwhile version ${newest} runs.`) : null,
      h("div", { class: "pair three" },
        field("Why", { id: "reason", maxlength: "500", value: this.how.reason, oninput: (event) => { this.how.reason = event.target.value; }, placeholder: "it stands in the history" }),
        choice("It ends", "ttl", TTL, this.how.ttl, (value) => { this.how.ttl = value; }),
        choice("Undone unless confirmed within", "confirm-within", CONFIRM, this.how.confirm, (value) => { this.how.confirm = value; })),
      h("div", { class: "row" }, button(this.app.acts.busy === "Apply" ? "Applying…" : allow.length ? `Allow ${allow.join(", ")}, and apply` : "Apply in every worker", { kind: allow.length ? "danger" : "primary", submit: true, off: this.app.acts.off, onclick: () => {} })));
  }
}

function suggested(config, text) {
  const words = text.trim().toLowerCase();
  const found = [];
  for (const { key } of config?.values ?? []) {
    if (key.toLowerCase().includes(words) && key !== text) found.push(key);
    if (found.length >= SUGGESTED) break;
  }
  return found;
}

/** The files that values come from, by their origins: `app.toml:4:20`. */
function files(config) {
  const names = new Set();
  for (const { origin } of config?.values ?? []) {
    const found = /^(.+\.(?:toml|ya?ml|jsonc?|ini|cfg|conf|env)):\d+/.exec(origin);
    if (found) names.add(found[1]);
  }
  return [...names].slice(0, SUGGESTED);
}
