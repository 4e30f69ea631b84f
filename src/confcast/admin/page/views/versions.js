/** The versions that are kept, what each has changed, and the way back to one. */

import { h } from "../dom.js";
import { heading } from "../frame.js";
import { Problem } from "../api.js";
import { button, panel, tabs } from "../parts/controls.js";
import { icon } from "../parts/icons.js";
import { changes, problems } from "../parts/tables.js";
import { caller, callerTitle, origin, time } from "../format.js";
import { place, remember } from "../router.js";

const phone = matchMedia("(max-width: 720px)"); // the details are below the list there
const AGAINST = [["before", "The one before"], ["running", "What runs"], ["sources", "The sources"]];

/** @param {import("../app.js").App} app */
export function create(app) {
  const view = { chosen: 0, against: "before", diff: null, asked: "" };
  const self = {
    render: () => render(app, view),
    opened: (query) => { view.chosen = Number(query.version) || 0; },
    drawn: () => ask(app, view),
  };
  self.opened(place().query);
  return self;
}

/** The two sides of the comparison; null where there is nothing to compare with. */
function sides(app, view) {
  const list = app.model.state.versions ?? [];
  const at = list.findIndex((each) => each.version === view.chosen);
  if (at < 0) return null;
  const version = list[at].version;
  if (view.against === "running") return ["running", version];
  if (view.against === "sources") return [version, "sources"];
  return list[at + 1] ? [list[at + 1].version, version] : null;
}

/** What differs, asked once for each choice, and again when another version runs. */
async function ask(app, view) {
  const { status, versions } = app.model.state;
  if (versions?.length && !versions.some((each) => each.version === view.chosen)) {
    view.chosen = versions[0].version;
    app.redraw();
    return;
  }
  const compared = sides(app, view);
  const question = compared ? JSON.stringify([app.model.state.owner, ...compared, compared.some((each) => typeof each === "string") ? [status?.version, status?.disk] : 0]) : "";
  if (question === view.asked) return;
  view.asked = question;
  view.diff = null;
  if (!compared) return;
  let found;
  try {
    found = await app.model.api.get("diff", { a: compared[0], b: compared[1] });
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    found = { problem };
  }
  if (view.asked === question) view.diff = found;
  app.redraw();
}

function render(app, view) {
  const { versions, status } = app.model.state;
  if (!versions) return h("div", null, heading("Versions"), h("p", { class: "quiet" }, "Asking the owner…"));
  return h("div", { class: "versions" },
    heading("Versions", h("p", { class: "quiet" }, `${versions.length} kept`)),
    h("div", { class: "split list-first" },
      h("ol", { class: "version-list", "aria-label": "kept versions" }, versions.map((each) => item(app, view, each, status))),
      chosen(app, view, versions.find((each) => each.version === view.chosen))));
}

function item(app, view, each, status) {
  const runs = each.version === status?.version;
  const may = status && (status.window ?? status.probation);
  const good = each.good ? "good" : may && each.version > may.fallback ? "not yet good" : "not good";
  const choose = () => { view.chosen = each.version; remember("versions", { version: each.version }); app.redraw(); if (phone.matches) app.afterDrawing(() => document.getElementById("chosen")?.scrollIntoView()); };
  return h("li", { key: each.version, "data-flip": `version-${each.version}` },
    h("button", { type: "button", class: "version", "aria-pressed": String(each.version === view.chosen), onclick: choose },
      h("b", { class: "n" }, String(each.version)),
      h("span", { class: "what" },
        h("span", null, origin(each.origin), each.who ? h("span", { title: callerTitle(each.who) }, ` · ${caller(each.who)}`) : null),
        each.reason ? h("span", { class: "quiet" }, `“${each.reason}”`) : null,
        h("span", { class: "quiet" }, time(each.timestamp))),
      h("span", { class: "tags" },
        runs ? h("span", { class: "tag runs" }, icon("dot"), "runs") : null,
        each.good ? null : h("span", { class: "tag warn" }, icon("ring"), good),
        each.restorable ? null : h("span", { class: "tag warn" }, icon("warn"), "can't be put back"))));
}

function chosen(app, view, version) {
  if (!version) return h("div", { key: "none" });
  const { status } = app.model.state;
  const runs = version.version === status?.version;
  const off = app.acts.off || (version.restorable ? "" : "its content is not kept, or is of another schema");
  const choose = (name) => { view.against = name; app.redraw(); };
  return h("section", { class: "version-details", id: "chosen", key: "chosen", "aria-label": `version ${version.version}` },
    h("div", { class: "heading" },
      h("h2", null, `Version ${version.version}`),
      button(runs ? "Hold this version" : `Roll back to ${version.version}`, { off, onclick: () => app.acts.rollback(version.version) })),
    h("p", { class: "quiet" }, "committed ", time(version.timestamp), ", content ", h("code", { title: version.digest }, version.digest.slice(0, 12))),
    tabs("against", "Compared with", AGAINST, view.against, choose),
    panel("against", view.against, difference(app, view, version)));
}

function difference(app, view, version) {
  const compared = sides(app, view);
  if (!compared) return h("p", { class: "quiet" }, "It is the oldest that is kept: there is none before it to compare with.");
  if (!view.diff) return h("p", { class: "quiet" }, "Asking the owner…");
  if (view.diff.problem) {
    const { problem } = view.diff;
    return problem.problems.length ? problems(problem.problems) : h("p", null, problem.message);
  }
  const [before, after] = { before: [`version ${compared[0]}`, `version ${version.version}`], running: ["runs now", `version ${version.version}`], sources: [`version ${version.version}`, "the sources"] }[view.against];
  return view.diff.changes.length ? changes(view.diff.changes, `${before} against ${after}`, [before, after]) : h("p", { class: "quiet" }, "Nothing differs.");
}
