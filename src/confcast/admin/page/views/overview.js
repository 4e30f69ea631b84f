/** What runs, since when, by whom and why; what is set, what waits, and what the owner is at. */

import { h } from "../dom.js";
import { heading } from "../frame.js";
import { button, linkButton } from "../parts/controls.js";
import { kindIcon, stateIcon } from "../parts/icons.js";
import { bar, phasesInWords } from "../parts/bars.js";
import { changes, table } from "../parts/tables.js";
import { ago, caller, callerTitle, countdown, ms, origin, result, shown, span, time } from "../format.js";
import { to } from "../router.js";

/** Seconds within which the owner begins to end a value whose time is over. */
const AT_ONCE = 1;

/** @param {import("../app.js").App} app */
export function create(app) {
  return { render: () => render(app) };
}

function render(app) {
  const { status } = app.model.state;
  if (!status) return h("div", null, heading("Overview"), h("p", { class: "quiet" }, "Asking the owner…"));
  return h("div", { class: "overview" },
    h("h1", { id: "heading", class: "unseen", tabindex: "-1" }, "Overview"),
    hero(app, status),
    h("div", { class: "split" },
      h("div", { class: "stack" }, doing(app, status), waiting(status), pending(status), overrides(app, status), lately(app)),
      h("div", { class: "stack" }, sources(status), workers(status), owner(app, status), totals(status))));
}

function hero(app, status) {
  const { off } = app.acts;
  return h("section", { class: "hero", "aria-label": "what runs" },
    h("div", { class: "number" }, h("span", { class: "unseen" }, "Version "), String(status.version)),
    h("div", { class: "about" },
      h("p", { class: "lead" }, status.since ? ["runs since ", time(status.since), h("span", { class: "quiet" }, `, ${ago(status.since, app.now)}`)] : "runs"),
      h("p", null, origin(status.origin), status.who ? [" by ", h("b", { title: callerTitle(status.who) }, caller(status.who))] : null),
      status.reason ? h("p", { class: "reason" }, `“${status.reason}”`) : null),
    h("div", { class: "row" },
      button("Load the sources", { off, onclick: () => app.acts.reload() }),
      button("Roll back", { off, onclick: () => app.acts.rollback() }),
      app.model.mayWrite ? null : h("p", { class: "hint" }, "This token may only read.")));
}

function block(title, key, ...content) {
  return h("section", { class: "block", key, "aria-label": title }, h("h2", null, title), content);
}

function doing(app, status) {
  if (status.phase === "idle") return null;
  const words = { loading: "reads the sources", staging: "has the workers vote", recording: "writes the version", committing: "has the workers swap" };
  return block("Now", "now",
    h("p", null, `The owner ${words[status.phase] ?? status.phase}, since ${span(app.now - status.phase_since)}.`),
    status.waiting_for.length ? h("ul", { class: "notes" }, status.waiting_for.map((each) =>
      h("li", { key: each.pid }, `It waits for process ${each.pid}`, each.function ? [": ", h("code", null, each.function)] : null, each.source ? [": ", h("code", null, each.source)] : null))) : null);
}

function waiting(status) {
  if (!status.differs.length) return null;
  const title = status.held ? "What the sources say, and waits for Resume" : status.provisional === "trial" ? "On trial" : "What the sources would change";
  return block(title, "differs", changes(status.differs, title, ["runs", "the sources say"]));
}

function pending(status) {
  if (!status.pending.length) return null;
  return block("Waits for a full reload of the server", "pending", changes(status.pending, "What waits for a restart", ["runs", "waits"]));
}

function overrides(app, status) {
  if (!status.overrides.length) return null;
  return block("Set by hand, above all sources", "overrides", table("Overrides", ["key", "value", "set", "ends", ""], status.overrides.map((each) => ({
    key: each.key,
    class: each.applied ? "" : "faded",
    cells: [
      h("code", { class: "key" }, each.key),
      each.applied ? shown(each.value) : h("span", { class: "note" }, each.why || "without effect"),
      [time(each.since), each.who ? [" · ", h("span", { title: callerTitle(each.who) }, caller(each.who))] : null, each.reason ? h("span", { class: "note" }, `“${each.reason}”`) : null],
      end(app, status, each),
      button("Unset", { small: true, off: app.acts.off, name: `Unset ${each.key}`, onclick: () => app.acts.unset(each.key) }),
    ],
  }))));
}

function end(app, status, each) {
  if (!each.expires) return each.needed ? "when it is unset" : "no longer needed";
  const at = new Date(each.expires * 1000).toISOString();
  const isOver = each.expires + AT_ONCE < app.now;
  const words = status.trial ? "its time is over: with the trial" : "its time is over: with the next load";
  return h("time", { class: isOver ? "note" : "countdown", datetime: at, title: at }, isOver ? words : countdown(each.expires, app.now));
}

function lately(app) {
  const events = (app.model.state.events ?? []).slice(0, 6);
  if (!events.length) return null;
  const longest = Math.max(...events.map((each) => each.duration_ms));
  return h("section", { class: "block", key: "lately", "aria-label": "Last reloads" },
    h("h2", null, "Last reloads", h("a", { class: "more", href: to("timeline") }, "all")),
    h("ol", { class: "lately" }, events.map((each) => {
      const [kind, words] = result(each.result);
      return h("li", { key: `${each.timestamp}-${each.version}-${each.origin}`, class: kind, "data-flip": `lately-${each.timestamp}-${each.origin}` },
        kindIcon(kind), time(each.timestamp), h("span", { class: "what" }, words, h("span", { class: "quiet" }, ` · ${origin(each.origin)}`)),
        each.duration_ms ? [bar(each, longest), h("span", { class: "ms", title: phasesInWords(each) }, ms(each.duration_ms))] : null);
    })));
}

function sources(status) {
  const kind = { "in step": "good", differs: "warn", refused: "bad" }[status.disk];
  const words = {
    "in step": "What the sources said when they were last loaded runs.",
    differs: status.held ? "A version is held; what the sources say waits." : "What the sources say is on trial.",
    refused: "What the sources say is refused.",
  }[status.disk];
  return block("Sources", "sources",
    h("p", { class: `state-line ${kind}` }, kindIcon(kind), h("b", null, status.disk)),
    h("p", { class: "quiet" }, words),
    status.stale.length ? h("ul", { class: "notes" }, status.stale.map((each) => h("li", { key: each }, each))) : null);
}

function workers(status) {
  const { workers: list, version } = status;
  const current = list.filter((each) => each.version === version && each.state === "current").length;
  return block("Workers", "workers",
    list.length ? h("p", null, h("b", null, `${current} of ${list.length}`), ` have version ${version}`) : h("p", { class: "quiet" }, "No worker is attached."),
    h("ul", { class: "cells", "aria-label": "workers" }, list.map((each) =>
      h("li", { key: each.pid, class: `cell ${each.state}`, title: `${each.pid}: version ${each.version}, ${each.state}` }, stateIcon(each.state), h("span", { class: "unseen" }, `${each.pid}: version ${each.version}, ${each.state}`)))),
    list.length ? linkButton("Look at them", to("workers")) : null);
}

function facts(list) {
  return h("dl", { class: "facts" }, list.filter(([, value]) => value !== null && value !== "" && value !== undefined).map(([name, value]) =>
    h("div", { key: name }, h("dt", null, name), h("dd", null, value))));
}

function owner(app, status) {
  const { master } = status;
  return block("Owner", "owner", facts([
    ["process", String(status.owner_pid ?? "")],
    ["restarts", status.owner_restarts ? String(status.owner_restarts) : ""],
    ["server", master ? `process ${master.pid}` : ""],
    ["command", master?.command ? h("code", null, master.command) : ""],
    ["directory", master?.working_directory ? h("code", null, master.working_directory) : ""],
    ["content", status.digest ? h("code", { title: status.digest }, status.digest.slice(0, 12)) : ""],
  ]));
}

function totals(status) {
  const counted = (values) => Object.entries(values ?? {}).map(([name, times]) => `${name} (${times})`).join(", ");
  return block("Since its journal began", "totals", facts([
    ["reloads", String(status.total_reloads ?? 0)],
    ["applied", String(status.successful_reloads ?? 0)],
    ["no change", String(status.suppressed ?? 0)],
    ["refused", String(status.failed_reloads ?? 0)],
    ["held", status.held_reloads ? String(status.held_reloads) : ""],
    ["conflicts", status.conflicts ? String(status.conflicts) : ""],
    ["mean", status.mean_duration_ms ? ms(status.mean_duration_ms) : ""],
    ["longest", status.max_duration_ms ? ms(status.max_duration_ms) : ""],
    ["against", counted(status.spoken_against)],
    ["trouble", counted(status.failures)],
  ]));
}
