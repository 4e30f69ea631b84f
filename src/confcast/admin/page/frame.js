/** What stands around each view: which owner, where to go, whether it is live, and the notices. */

import { h } from "./dom.js";
import { button, choice } from "./parts/controls.js";
import { icon } from "./parts/icons.js";
import { notices } from "./parts/notices.js";
import { outcomePanel } from "./parts/outcome.js";
import { nextTheme, theme } from "./theme.js";
import { clock } from "./format.js";
import { to } from "./router.js";

const NAMES = { overview: "Overview", values: "Values", workers: "Workers", timeline: "Timeline", versions: "Versions", change: "Change", trials: "Trials", fleet: "Fleet" };

/** @param {import("./app.js").App} app */
export function frame(app, view, name) {
  const { outcome } = app.acts;
  return h("div", { class: "frame", key: "frame" },
    h("header", { class: "rail" },
      h("p", { class: "brand" }, h("a", { href: to("overview") }, "confcast")),
      owners(app),
      nav(app, name),
      foot(app)),
    h("main", { id: "main", tabindex: "-1", class: `view-${name}` },
      notices(app),
      outcome && outcome.where !== name ? outcomePanel(app, outcome) : null,
      app.model.state.owners.length ? view.render() : nobody(app)));
}

/** @param {string} text @param {any} [more] beside it */
export function heading(text, more = null) {
  return h("div", { class: "heading" }, h("h1", { id: "heading", tabindex: "-1" }, text), more);
}

function owners(app) {
  const { owner } = app.model.state;
  const list = [...app.model.state.owners];
  if (list.length === 1 && list[0].id !== owner) return button(`Show ${list[0].name}`, { small: true, onclick: () => app.model.choose(list[0].id) });
  if (list.length < 2) return list.length ? h("p", { class: "owner", title: list[0].address }, list[0].name) : null;
  const named = (each) => (list.filter((other) => other.name === each.name).length > 1 ? `${each.name} · ${each.pid}` : each.name);
  if (!list.some((each) => each.id === owner)) list.unshift({ id: owner, name: `${owner} (gone)`, pid: 0 });
  return h("div", { class: "owner" }, choice("Owner", "owner", list.map((each) => [each.id, named(each)]), owner, (id) => app.model.choose(id)));
}

function nav(app, name) {
  const { status, fleet } = app.model.state;
  const marks = {
    workers: status ? status.workers.length : null,
    trials: status?.provisional ? icon("trial") : null,
    change: null,
  };
  const shown = Object.entries(NAMES).filter(([each]) => each !== "fleet" || fleet);
  return h("nav", { "aria-label": "Views" }, h("ul", null, shown.map(([each, words]) =>
    h("li", { key: each }, h("a", { href: to(each), "aria-current": each === name ? "page" : null },
      words, marks[each] !== undefined && marks[each] !== null ? h("span", { class: "mark", "aria-hidden": "true" }, marks[each]) : null)))));
}

function foot(app) {
  const { session, live } = app.model.state;
  const words = { live: "Live", connecting: "Connecting", lost: `Not live since ${clock(live.since)}` }[live.state];
  const next = { system: "auto", light: "light", dark: "dark" }[theme()];
  return h("div", { class: "foot" },
    h("p", { class: `live ${live.state}` }, icon(live.state === "live" ? "dot" : "ring"), words),
    h("p", { class: "who", title: session.may_write ? "this token may change things" : "this token may only read" },
      h("b", null, session.token), session.may_write ? " · writes" : " · reads only"),
    h("div", { class: "row" },
      button(`Theme: ${next}`, { kind: "plain", small: true, onclick: () => { nextTheme(); app.redraw(); } }),
      button("Sign out", { kind: "plain", small: true, onclick: () => app.model.signOut() })));
}

function nobody(app) {
  return h("section", { class: "nobody" }, heading("No owner runs here"),
    h("p", null, "Start a server with confcast, or ", h("code", null, "confcast serve"), ", as the user of this admin server."),
    h("p", { class: "wrong", role: "alert" }, app.model.state.signInProblem),
    button("Look again", { kind: "primary", onclick: () => app.model.look() }));
}
