/** What a person should know whichever view is open: what is provisional, held, refused, lost. Each says what to do. */

import { h } from "../dom.js";
import { button, linkButton } from "./controls.js";
import { kindIcon } from "./icons.js";
import { problems } from "./tables.js";
import { caller, clock, countdown, many, time } from "../format.js";
import { to } from "../router.js";

function notice(key, kind, title, text, ...actions) {
  const mark = { provisional: "time", held: "held" }[key] ?? kind;
  return h("section", { class: `notice ${kind}`, key, "aria-label": typeof title === "string" ? title : title[0].trim() },
    kindIcon(mark),
    h("div", { class: "said" }, h("h2", null, title), text ? h("div", { class: "prose" }, text) : null),
    actions.length ? h("div", { class: "row" }, actions) : null);
}

/** @param {import("../app.js").App} app */
export function notices(app) {
  const { status, gone, live } = app.model.state;
  return h("div", { class: "notices" }, [
    live.state === "lost" ? lost(app, live) : null,
    gone !== null ? ownerGone(status, gone) : null,
    status && app.view !== "trials" ? provisional(app, status) : null,  // that view says more
    status?.held ? held(app, status) : null,
    status && status.disk === "refused" && status.problems.length ? refused(app, status) : null,
  ].filter(Boolean));
}

function lost(app, live) {
  const left = Math.ceil(live.retryAt - app.now);
  const soon = left > 1 ? `trying again in ${left} s` : "trying again";
  return notice("lost", "warn", ["Not live since ", time(live.since), `; ${soon}`], "What is shown is what was known then.",
    button("Try now", { onclick: () => app.model.stream?.hurry() }));
}

function ownerGone(status, since) {
  const version = status ? `version ${status.version}` : "what they have";
  const which = status ? `process ${status.owner_pid}` : "the process";
  return notice("gone", "bad", ["The owner does not answer since ", time(since)], `Workers serve ${version} from their own copies. Nothing can be changed meanwhile. If it has ended, its server starts another one by itself; if ${which} lives, it hangs: look at it on the host.`);
}

function provisional(app, status) {
  if (!status.provisional) return null;
  const { trial, window, probation, deadline } = status;
  const until = deadline ? [h("span", { class: "countdown" }, countdown(deadline, app.now)), h("span", { class: "unseen" }, ` left, until ${clock(deadline)}`)] : null;
  const [title, text] = {
    trial: () => [`Version ${trial?.version} is on trial`, `${where(trial)}; version ${status.version} runs on. ${many(trial?.requests ?? 0, "request")} of ${trial?.min_requests ?? 0}.`],
    confirm: () => [`Version ${status.version} is to be confirmed`, `Unless somebody confirms, the content of version ${window?.fallback} is put back.`],
    probation: () => [`Version ${status.version} is on probation`, `If workers die of it or speak against it, the content of version ${probation?.fallback} is put back. It is good at the end.`],
  }[status.provisional]();
  const evidence = status.evidence.length ? h("ul", { class: "notes" }, status.evidence.map((each) => h("li", { key: each }, each))) : null;
  return notice("provisional", status.provisional === "probation" ? "info" : "trial", [title, until ? " · " : null, until], [text, evidence],
    button("Confirm", { kind: "primary", off: app.acts.off, onclick: () => app.acts.confirm() }),
    button("Take back", { off: app.acts.off, onclick: () => app.acts.rollback() }));
}

export function where(trial) {
  if (!trial) return "";
  if (trial.by === "entity") return `For ${trial.size} of the entities`;
  return trial.workers.length ? `In ${many(trial.workers.length, "worker")} (${trial.workers.slice(0, 6).join(", ")}${trial.workers.length > 6 ? ", …" : ""})` : "In no worker yet";
}

function held(app, status) {
  const { held: hold, differs } = status;
  const by = hold.who ? ` by ${caller(hold.who)}` : "";
  const waits = differs.length ? ` The sources say otherwise in ${many(differs.length, "key")}.` : "";
  if (hold.boot) return notice("held", "warn", `The server started on version ${hold.version}`, "Its sources were refused. They are followed as soon as they are applied.");
  return notice("held", "warn", `The content of version ${hold.version} is held`, ["Since ", time(hold.since), `${by}${hold.reason ? `: “${hold.reason}”` : ""}. What the sources say is put to no worker.${waits}`],
    differs.length ? linkButton("What waits", to("overview")) : null,
    button("Resume", { kind: "primary", off: app.acts.off, onclick: () => app.acts.resume() }));
}

function refused(app, status) {
  return notice("refused", "bad", "What the sources say is refused", [problems(status.problems.slice(0, 5)), status.problems.length > 5 ? `and ${status.problems.length - 5} more` : null, `Version ${status.version} runs on.`],
    button("Load again", { off: app.acts.off, onclick: () => app.acts.reload() }));
}
