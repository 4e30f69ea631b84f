/** One configuration on many hosts: what the head chooses, and which hosts have what. */

import { h, s } from "../dom.js";
import { heading } from "../frame.js";
import { button } from "../parts/controls.js";
import { icon } from "../parts/icons.js";
import { table } from "../parts/tables.js";
import { many, span, time } from "../format.js";

const STATES = ["good", "applied", "loading", "held", "partial", "refused", "undone", "fault"];
const AGAIN = 5e3; // no event of this host's owner tells of the others
const KINDS = [["lagging", "has not answered yet"], ["stale", "has missed a report"], ["held", "is held by a person"], ["away", "was not heard of for minutes"]];

/** @param {import("../app.js").App} app */
export function create(app) {
  let asked = 0;
  const look = () => {
    if (app.view !== "fleet" || !app.model.api || document.hidden || Date.now() - asked < AGAIN) return;
    asked = Date.now();
    app.model.load("fleet");
    setTimeout(look, AGAIN + 50);
  };
  return { render: () => render(app), drawn: look };
}

function render(app) {
  const { fleet } = app.model.state;
  if (!fleet) return h("div", null, heading("Fleet"), h("p", { class: "prose" }, "This admin server was started without a fleet: ", h("code", null, "confcast admin --fleet-url … --fleet-key …"), "."));
  return h("div", { class: "fleet" },
    heading("Fleet", h("p", { class: "quiet" }, `${fleet.key ?? ""} · ${many(fleet.hosts, "host")}`)),
    head(fleet),
    fleet.rollout ? rollout(fleet.rollout) : null,
    fleet.versions.length ? versions(fleet.versions) : null,
    fleet.against.length ? [h("h2", { key: "against-title" }, "What speaks against it"), table("Hosts that refuse", ["version", "state", "hosts", "why"], fleet.against.map((each, at) => ({
      key: String(at), cells: [h("code", null, each.digest.slice(0, 8)), h("span", { class: "state-line bad" }, icon("cross"), each.state), hosts(each.hosts), each.reason || "–"],
    })))] : null,
    KINDS.filter(([name]) => fleet[name]?.length).map(([name, words]) => h("p", { key: name }, h("b", null, name), `: ${hosts(fleet[name])} ${words}`)),
    fleet.gateways?.length ? h("p", { class: "quiet" }, `gateways: ${fleet.gateways.map((each) => each.gateway).join(", ")}`) : null,
    h("div", { class: "row" }, button("Look again", { onclick: () => app.model.load("fleet") })));
}

function hosts(names) {
  return names.length > 6 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");
}

function head({ head: each, fault }) {
  if (fault) return h("p", { class: "state-line bad" }, icon("cross"), fault);
  if (!each) return h("p", { class: "prose" }, "Nothing was published under this key.");
  return h("p", { class: "prose" }, "Head ", h("code", null, String(each.id)), each.by ? [", by ", h("b", null, each.by)] : null, each.at ? [", ", time(each.at)] : null, each.why ? `: “${each.why}”` : null);
}

function rollout(each) {
  const counts = [["good", each.good], ["more applied", each.applied - each.good], ["in a part of their workers", each.partial], ["silent", each.silent], ["held", each.held], ["against", each.against]];
  const width = (number) => Math.round((1000 * number) / Math.max(each.meant, 1));
  return h("section", { class: "card", key: "rollout", "aria-label": "rollout" },
    h("h2", null, `Stage ${each.stage} of ${each.stages}: ${each.name}`, h("span", { class: "countdown" }, `${each.good} of ${each.meant}`)),
    s("svg", { class: "progress", viewBox: "0 0 1000 6", preserveAspectRatio: "none", role: "img", "aria-label": `${each.good} of ${each.meant} hosts are good` },
      s("rect", { class: "track", width: 1000, height: 6 }), s("rect", { class: "begun", width: width(each.applied), height: 6 }), s("rect", { class: "done", width: width(each.good), height: 6 })),
    h("p", null, counts.filter(([, number]) => number > 0).map(([word, number]) => `${number} ${word}`).join(", ") || "none has it yet"),
    h("p", { class: "quiet" }, `It waits for ${each.waits_for}${each.bakes === null ? "" : `; ${span(each.bakes)} of its bake time are left`}.`));
}

function versions(list) {
  const there = STATES.filter((state) => list.some((each) => each[state]));
  return table("Versions by hosts", ["version", "is", "hosts", ...there], list.map((each) => ({
    key: each.digest || "none",
    cells: [h("code", null, each.digest.slice(0, 8) || "none yet"), each.is || "–", String(each.hosts), ...there.map((state) => String(each[state]))],
  })));
}
