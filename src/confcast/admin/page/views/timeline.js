/** Every load that is in the history: how it ended, what it took by phase, and, opened, all that is known of it. */

import { h } from "../dom.js";
import { heading } from "../frame.js";
import { tabs, panel } from "../parts/controls.js";
import { icon, kindIcon } from "../parts/icons.js";
import { bar, columns, legend, phasesInWords } from "../parts/bars.js";
import { changes, problems } from "../parts/tables.js";
import { stateWord } from "../parts/outcome.js";
import { caller, callerTitle, many, ms, origin, result, time } from "../format.js";

const COLUMNS = 60;
const SHOWN = [["all", "All"], ["changes", "Versions"], ["refused", "Refused or undone"]];

/** @param {import("../app.js").App} app */
export function create(app) {
  const view = { shown: "all", open: new Set() };
  return { render: () => render(app, view) };
}

const idOf = (event) => `${event.timestamp}-${event.version}-${event.origin}`;

function listed(events, shown) {
  if (shown === "refused") return events.filter((each) => ["bad", "warn"].includes(result(each.result)[0]));
  if (shown === "changes") return events.filter((each) => each.version !== each.previous_version && result(each.result)[0] !== "bad");
  return events;
}

function render(app, view) {
  const { events } = app.model.state;
  if (!events) return h("div", null, heading("Timeline"), h("p", { class: "quiet" }, "Asking the owner…"));
  const list = listed(events, view.shown);
  const longest = Math.max(...list.map((each) => each.duration_ms), 0);
  const choose = (name) => { view.shown = name; app.redraw(); };
  return h("div", { class: "timeline" },
    heading("Timeline", legend()),
    events.length ? columns(events, COLUMNS) : null,
    tabs("timeline", "Which loads", SHOWN, view.shown, choose),
    panel("timeline", view.shown, list.length ? h("ol", { class: "events" }, list.map((each) => row(app, view, each, longest))) : h("p", { class: "quiet" }, "None is in the history.")));
}

function row(app, view, event, longest) {
  const id = idOf(event);
  const [kind, words] = result(event.result);
  const open = view.open.has(id);
  const toggle = () => { if (!view.open.delete(id)) view.open.add(id); app.redraw({ still: true }); };
  return h("li", { key: id, class: `event ${kind}`, "data-flip": `event-${id}` },
    h("button", { type: "button", class: "event-line", "aria-expanded": String(open), onclick: toggle },
      h("span", { class: "verdict" }, kindIcon(event.result === "undone" ? "undone" : kind), h("span", null, words)),
      time(event.timestamp),
      h("span", { class: "step" }, event.version !== event.previous_version ? `${event.previous_version} → ${event.version}` : String(event.version)),
      h("span", { class: "what" }, what(event)),
      bar(event, longest),
      h("span", { class: "ms", title: phasesInWords(event) }, event.duration_ms ? ms(event.duration_ms) : ""),
      icon("down")),
    open ? details(event) : null);
}

/** In one line: who, why, and what it was about. */
function what(event) {
  const who = caller(event.who);
  const about = event.problems.length ? event.problems[0].message : event.changes.length ? event.changes.slice(0, 3).map((each) => each.key).join(", ") + (event.changes.length > 3 ? ` and ${event.changes.length - 3} more` : "") : event.evidence[0] ?? "";
  return [h("span", { title: callerTitle(event.who) }, `${origin(event.origin)}${who ? ` · ${who}` : ""}`), event.reason ? ` · “${event.reason}”` : null, about ? h("span", { class: "about" }, ` ${about}`) : null];
}

function details(event) {
  return h("div", { class: "event-details" },
    h("p", { class: "quiet" }, [event.duration_ms ? phasesInWords(event) : "", callerTitle(event.who)].filter(Boolean).join(" · ")),
    event.problems.length ? problems(event.problems) : null,
    event.evidence.length ? h("ul", { class: "notes" }, event.evidence.map((each) => h("li", { key: each }, each))) : null,
    event.changes.length ? changes(event.changes, "What it changed") : null,
    event.pending.length ? [h("h2", null, "Waits for a full reload of the server"), changes(event.pending, "What waits for a restart", ["runs", "waits"])] : null,
    event.notes.length ? h("ul", { class: "notes" }, event.notes.map((each) => h("li", { key: each }, each))) : null,
    event.lagging.length ? h("ul", { class: "notes" }, event.lagging.map((each) => h("li", { key: each.pid }, `worker ${each.pid} `, stateWord(each), each.reason ? ` ${each.reason}` : null))) : null,
    event.applied.length ? h("p", { class: "quiet" }, `Applied by ${many(event.applied.length, "worker")}: ${event.applied.join(", ")}`) : null);
}
