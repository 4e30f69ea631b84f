/** What may still be taken back by itself, what speaks against it, and how earlier ones ended. */

import { h, s } from "../dom.js";
import { heading } from "../frame.js";
import { button } from "../parts/controls.js";
import { kindIcon } from "../parts/icons.js";
import { changes, table } from "../parts/tables.js";
import { where } from "../parts/notices.js";
import { caller, clock, countdown, many, origin, result, shown, span, time } from "../format.js";

/** @param {import("../app.js").App} app */
export function create(app) {
  return { render: () => render(app) };
}

function render(app) {
  const { status, events } = app.model.state;
  return h("div", { class: "trials" },
    heading("Trials", h("p", { class: "quiet" }, "what may still be taken back by itself")),
    status?.provisional ? [trial(app, status), window_(app, status), probation(app, status), actions(app, status)] : nothing(app),
    earlier(events ?? []));
}

function nothing(app) {
  return h("div", { class: "prose", key: "nothing" },
    h("p", null, "Nothing is provisional: what runs stays."),
    h("p", { class: "quiet" }, "A change is tried in some workers first by ", h("code", null, "confcast reload --canary 25%"), ", and undone unless somebody confirms it by ", h("code", null, "--confirm-within 10m"), "."));
}

function card(key, title, until, since, app, ...content) {
  return h("section", { class: "card", key, "aria-label": title },
    h("h2", null, title, until ? h("span", { class: "countdown" }, countdown(until, app.now), h("span", { class: "unseen" }, ` left, until ${clock(until)}`)) : null),
    until && since ? progress((app.now - since) / (until - since), `${span(until - app.now)} are left`) : null,
    content);
}

function progress(share, words) {
  const width = Math.round(1000 * Math.min(1, Math.max(0, share)));
  return s("svg", { class: "progress", viewBox: "0 0 1000 6", preserveAspectRatio: "none", role: "img", "aria-label": words },
    s("rect", { class: "track", width: 1000, height: 6 }), s("rect", { class: "done", width, height: 6 }));
}

function asked(each) {
  const by = caller(each.who);
  return by || each.reason ? h("p", { class: "quiet" }, `asked for${by ? ` by ${by}` : ""}${each.reason ? `: “${each.reason}”` : ""}`) : null;
}

function trial(app, status) {
  const { trial: each } = status;
  if (!each) return null;
  return card("trial", `Version ${each.version} is on trial`, each.until, each.since, app,
    h("p", null, `${where(each)}, since `, time(each.since), `${each.extended ? ", for the second time" : ""}. Version ${status.version} runs on for the others.`),
    h("p", null, `${each.requests} of ${many(each.min_requests, "request")} have ended on it.`),
    progress(each.min_requests ? each.requests / each.min_requests : 1, `${each.requests} of ${each.min_requests} requests`),
    asked(each),
    status.differs.length ? changes(status.differs, "What is tried", ["runs", "on trial"]) : null);
}

function window_(app, status) {
  const { window: each } = status;
  if (!each) return null;
  const until = each.until ?? status.deadline;
  return card("window", `Version ${status.version} is to be confirmed`, until, status.since, app,
    h("p", null, each.fallback === status.version ? "What is changed until then is undone at the end, unless somebody confirms." : `Unless somebody confirms, the content of version ${each.fallback} is put back at the end.`),
    asked(each));
}

function probation(app, status) {
  const { probation: each } = status;
  if (!each) return null;
  return card("probation", `Version ${status.version} is on probation`, each.until, status.since, app,
    h("p", null, `If workers die of it, or speak against it, the content of version ${each.fallback} is put back. Otherwise it is good at the end.`));
}

function actions(app, status) {
  return h("div", { class: "ends", key: "actions" },
    status.evidence.length ? [h("h2", null, "What speaks against it"), h("ul", { class: "notes" }, status.evidence.map((each) => h("li", { key: each }, each)))] : h("p", { class: "quiet" }, "Nothing speaks against it so far."),
    h("div", { class: "row" },
      button(status.provisional === "trial" ? "Confirm: commit it everywhere" : "Confirm: keep it", { kind: "primary", off: app.acts.off, onclick: () => app.acts.confirm() }),
      button("Take it back", { off: app.acts.off, onclick: () => app.acts.rollback() })));
}

function earlier(events) {
  const list = events.filter((each) => ["on_trial", "undone"].includes(each.result) || ["confirm", "undo"].includes(each.origin) || each.confirm_by).slice(0, 20);
  if (!list.length) return null;
  return h("section", { class: "block", key: "earlier" }, h("h2", null, "Earlier"),
    table("Earlier trials", ["when", "version", "how it went", "what was said"], list.map((each) => {
      const [kind, words] = result(each.result);
      return {
        key: `${each.timestamp}-${each.version}-${each.origin}`,
        cells: [time(each.timestamp), String(each.version), h("span", { class: `state-line ${kind}` }, kindIcon(kind), `${words}, ${origin(each.origin)}`), each.evidence.join("; ") || each.reason || shown(null, "–")],
      };
    })));
}
