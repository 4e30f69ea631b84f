/** Every process that holds the configuration, in lanes by version: a change is seen moving through them. */

import { h } from "../dom.js";
import { heading } from "../frame.js";
import { stateIcon } from "../parts/icons.js";
import { stateWord } from "../parts/outcome.js";
import { table } from "../parts/tables.js";
import { many } from "../format.js";

const STATES = [
  ["current", "has the version"],
  ["trial", "tries the one on trial"],
  ["behind", "was asked, has not answered yet"],
  ["late", "has passed a deadline"],
  ["declined", "keeps an older one on purpose"],
  ["disconnected", "lives, and has no pipe"],
];

/** @param {import("../app.js").App} app */
export function create(app) {
  return { render: () => render(app.model.state.status) };
}

function render(status) {
  const list = status?.workers ?? [];
  return h("div", null,
    heading("Workers", h("p", { class: "quiet" }, status ? many(list.length, "process", "processes") : "Asking the owner…")),
    list.length ? [lanes(status), states(list), details(list)] : h("p", { class: "prose" }, "No worker is attached: a process attaches with settings.attach()."));
}

function lanes(status) {
  const versions = [...new Set([status.version, ...status.workers.map((each) => each.version)])].sort((a, b) => b - a);
  return h("ol", { class: "lanes", "aria-label": "workers by version" }, versions.map((version) => {
    const here = status.workers.filter((each) => each.version === version);
    const runs = version === status.version;
    const words = runs ? "runs" : version === status.trial?.version ? "on trial" : version > status.version ? "newer" : version ? "older" : "none yet";
    return h("li", { key: version, class: runs ? "lane runs" : "lane" },
      h("p", { class: "lane-name" }, h("b", null, String(version)), h("span", { class: "quiet" }, words)),
      h("ul", { class: "chips" }, here.map((each) =>
        h("li", { key: each.pid, class: `chip ${each.state}`, "data-flip": `worker-${each.pid}` }, stateIcon(each.state), String(each.pid), h("span", { class: "unseen" }, ` ${each.state}`)))),
      h("p", { class: "lane-count" }, String(here.length)));
  }));
}

function states(list) {
  const there = STATES.filter(([name]) => list.some((each) => each.state === name));
  return h("ul", { class: "legend", "aria-label": "states" }, there.map(([name, words]) => h("li", { key: name, class: `state ${name}` }, stateIcon(name), `${name}: ${words}`)));
}

/** Those of whom more is to be said than the lanes show. */
function details(list) {
  const said = list.filter((each) => each.state !== "current" || each.reason || each.observer_failures);
  if (!said.length) return h("p", { class: "quiet" }, "No worker has anything to say.");
  return table("What workers say", ["process", "version", "state", "why", "observers that failed"], said.map((each) => ({
    key: String(each.pid),
    cells: [
      String(each.pid), String(each.version), stateWord(each), each.reason || h("span", { class: "absent" }, "–"),
      each.observer_failures ? `${each.observer_failures}: ${each.last_observer_error}` : h("span", { class: "absent" }, "none"),
    ],
  })));
}
