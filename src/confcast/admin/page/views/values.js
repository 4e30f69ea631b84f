/** Every key with its value and where that comes from: searched while one types, and explained when one is chosen. */

import { h } from "../dom.js";
import { heading } from "../frame.js";
import { Problem } from "../api.js";
import { button, linkButton } from "../parts/controls.js";
import { problems } from "../parts/tables.js";
import { icon } from "../parts/icons.js";
import { VirtualList } from "../parts/virtual_list.js";
import { clock, isShortened, many, short, shown, source, whole } from "../format.js";
import { place, remember, to } from "../router.js";

const FILTERS = [
  ["all", "All", () => true],
  ["given", "Not the default", (each) => each.origin !== "default"],
  ["set", "Set by hand", (each) => each.origin.startsWith("set by")],
  ["pending", "Waits for a restart", (each) => each.pending !== null && each.pending !== undefined],
  ["secret", "Secrets", (each) => each.secret],
];
/** What is searched, by entry: made once for each answer of the server. @type {WeakMap<object, string>} */
const texts = new WeakMap();

/** @param {import("../app.js").App} app */
export function create(app) {
  return new Values(app);
}

class Values {
  constructor(app) {
    this.app = app;
    this.query = "";
    this.filter = "all";
    this.explained = null; // {key, found} or {key, problem}; {key} while it is asked for
    this.list = new VirtualList({ label: "values", columns: ["key", "value", "from"], changed: () => app.redraw(), row: cells, chosen: (each) => this.explain(each.key) });
    this.opened(place().query);
  }

  opened(query) {
    if (query.q !== undefined) this.query = query.q;
    if (query.key) this.explain(query.key);
  }

  drawn() {
    this.app.model.wantConfig();
    if (this.explained && this.asks !== this.question()) this.#ask();
  }

  /** What the explanation depends on: it is asked for again when another version runs. */
  question() {
    const { owner, config } = this.app.model.state;
    return JSON.stringify([owner, this.explained?.key, config?.version]);
  }

  explain(key) {
    this.explained = { key };
    this.reveal = true;
    if (this.app.view === "values") remember("values", { key });
    this.app.redraw();
  }

  close() {
    this.explained = null;
    this.asks = "";
    remember("values", {});
    this.app.redraw();
    document.getElementById("values-grid")?.focus();
  }

  async #ask() {
    const question = (this.asks = this.question());
    const { key } = this.explained;
    let answer;
    try {
      answer = { key, found: await this.app.model.api.get("explain", { key }) };
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      answer = { key, problem };
    }
    if (this.asks === question) this.explained = answer;
    this.app.redraw();
  }

  #listed(config) {
    const wanted = [config, this.query, this.filter];
    if (this.cache && this.cache.wanted.every((each, at) => each === wanted[at])) return this.cache.list;
    const words = this.query.toLowerCase().split(/\s+/).filter(Boolean);
    const passes = FILTERS.find(([name]) => name === this.filter)[2];
    const list = config.values.filter((each) => passes(each) && words.every((word) => textOf(each).includes(word)));
    this.cache = { wanted, list };
    return list;
  }

  render() {
    const { config, configProblem } = this.app.model.state;
    if (configProblem && !config) return h("div", null, heading("Values"), h("p", null, configProblem.message), problems(configProblem.problems));
    if (!config) return h("div", null, heading("Values"), h("p", { class: "quiet" }, "Asking the owner…"));
    const list = this.#listed(config);
    if (this.reveal) this.list.reveal(list.findIndex((each) => each.key === this.explained?.key));
    this.reveal = false;
    const count = list.length === config.values.length ? many(list.length, "key") : `${list.length.toLocaleString("en")} of ${many(config.values.length, "key")}`;
    return h("div", { class: this.explained ? "values explaining" : "values" },
      heading("Values", h("p", { class: "quiet", role: "status" }, count, config.left_out ? `; ${config.left_out} more are left out` : null)),
      this.#tools(config),
      h("div", { class: "values-body" },
        list.length ? this.list.render("values-grid", list, this.explained?.key) : h("p", { class: "quiet", key: "none" }, "No key has this."),
        this.explained ? this.#explanation() : null));
  }

  #tools(config) {
    const search = (event) => { this.query = event.target.value; this.list.top(); this.app.redraw(); };
    const onkeydown = (event) => { if (event.key === "ArrowDown" || event.key === "Enter") { event.preventDefault(); document.getElementById("values-grid")?.focus(); } };
    const there = FILTERS.filter(([name, , passes]) => name === "all" || name === this.filter || config.values.some(passes));
    return h("div", { class: "tools" },
      h("div", { class: "search" }, icon("search"),
        h("input", { id: "search", type: "search", class: "input", "aria-label": "Search keys, values and origins", placeholder: "Search keys, values, origins", value: this.query, oninput: search, onkeydown, autocomplete: "off", spellcheck: "false" }),
        h("kbd", { "aria-hidden": "true" }, "/")),
      h("div", { class: "filters", role: "group", "aria-label": "Which keys" }, there.map(([name, words]) =>
        h("button", { key: name, type: "button", class: "filter", "aria-pressed": String(name === this.filter), onclick: () => { this.filter = name; this.list.top(); this.app.redraw(); } }, words))));
  }

  /** What is known of the key all the same, and why no more is. */
  #unexplained(key, problem) {
    const each = this.app.model.state.config?.values.find((one) => one.key === key);
    return [
      each ? known(each) : null,
      h("p", null, problem.problems.length ? "What hides what is not known while the sources are refused:" : problem.message),
      problems(problem.problems),
    ];
  }

  #explanation() {
    const { key, found, problem } = this.explained;
    const onkeydown = (event) => { if (event.key === "Escape") this.close(); };
    return h("aside", { class: "explain", key: "explain", "aria-label": `where ${key} comes from`, onkeydown },
      h("div", { class: "heading" }, h("h2", null, h("code", null, key)), button("Close", { small: true, kind: "plain", onclick: () => this.close() })),
      found ? explanation(found) : problem ? this.#unexplained(key, problem) : h("p", { class: "quiet" }, "Asking the owner…"),
      found && !found.shadowed?.some((each) => each.value === "**********") && found.value !== "**********"
        ? h("div", { class: "row" }, linkButton("Try another value", to("change", { key, ...(isShortened(found.value) ? {} : { value: typeof found.value === "string" ? found.value : whole(found.value) }) }))) : null);
  }
}

function known(each) {
  const facts = [
    ["runs", shown(each.value)],
    ["from", each.origin || null],
    ["default", each.default === null ? null : shown(each.default)],
    ["type", each.type ? h("code", null, each.type) : null],
    ["about", each.description || null],
  ];
  return h("dl", { class: "facts tall" }, facts.filter(([, value]) => value !== null).map(([name, value]) => h("div", { key: name }, h("dt", null, name), h("dd", null, value))));
}

function textOf(each) {
  let text = texts.get(each);
  if (text === undefined) {
    text = `${each.key} ${short(each.value)} ${each.origin} ${each.description ?? ""}`.toLowerCase();
    texts.set(each, text);
  }
  return text;
}

/** The cells of a row: the key's last part stands out, and so does a value that is no default. */
function cells(each) {
  const at = each.key.lastIndexOf(".") + 1;
  const waits = each.pending !== null && each.pending !== undefined;
  return [
    h("code", { title: each.key }, at ? h("span", { class: "section" }, each.key.slice(0, at)) : null, each.key.slice(at)),
    [h("code", { class: each.secret ? "masked" : each.origin === "default" ? "usual" : "given", title: each.secret ? "a secret" : short(each.value) }, each.secret && typeof each.value === "string" ? each.value : short(each.value, 120)), waits ? h("span", { class: "note" }, `waits: ${short(each.pending, 40)}`) : null],
    h("span", { class: each.origin === "default" ? "from usual" : "from", title: each.origin }, source(each.origin)),
  ];
}

function explanation(found) {
  const facts = [
    ["value", shown(found.value)],
    ["from", found.origin],
    ["waiting", found.waiting ? [shown(found.waiting.value, "nothing"), `, ${found.waiting.origin}: waits for Resume`] : null],
    ["pending", found.pending !== null ? [shown(found.pending), ", at the next full reload of the server"] : null],
    ["expires", found.expires !== null ? clock(found.expires) : null],
    ["hides", found.shadowed.length ? h("ol", { class: "hidden-values" }, found.shadowed.map((each, at) => h("li", { key: at }, shown(each.value), h("span", { class: "quiet" }, each.origin)))) : null],
    ["default", found.required ? h("span", { class: "absent" }, "none: it has to be given") : shown(found.default)],
    ["type", found.type ? h("code", null, found.type) : null],
    ["demands", found.constraints.length ? found.constraints.map((each) => h("code", { key: each, class: "demand" }, each)) : null],
    ["about", found.description || null],
    ["since", found.since_version ? h("a", { href: to("versions", { version: found.since_version }) }, `version ${found.since_version}`) : null],
    ["left out", found.left_out.length ? h("ul", { class: "notes" }, found.left_out.map((each) => h("li", { key: each }, each))) : null],
  ];
  return [
    h("dl", { class: "facts tall" }, facts.filter(([, value]) => value !== null).map(([name, value]) => h("div", { key: name }, h("dt", null, name), h("dd", null, value)))),
    found.problems.length ? [h("h2", null, "The sources are refused"), problems(found.problems)] : null,
  ];
}
