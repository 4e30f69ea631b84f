/** What became of a change, or of trying one: the verdict, each worker's vote, what differs, and what to do next. */

import { h } from "../dom.js";
import { button } from "./controls.js";
import { icon, kindIcon, stateIcon } from "./icons.js";
import { changes, problems } from "./tables.js";
import { bar, phasesInWords } from "./bars.js";
import { ago, caller, callerTitle, origin, result, time } from "../format.js";

const ALLOWS = /--allow ['"]?([\w:.,<>"-]+)/g;
const SPEAKERS = /\s*\(?\bworker (\d+)(?: and (\d+) more)?(?:, earlier)?\)?$/;

/**
 * @param {import("../app.js").App} app
 * @param {import("../acts.js").Outcome} outcome
 * @param {any} [more] buttons of the view that shows it
 */
export function outcomePanel(app, outcome, more = null) {
  const event = outcome.event ?? outcome.problem?.event ?? null;
  const conflict = outcome.problem && (outcome.problem.status === 412 || event?.result === "conflict");
  const [kind, title] = conflict ? ["warn", "Somebody was faster: nothing was changed"] : headline(outcome, event);
  return h("section", { class: `outcome ${kind}`, id: "outcome", tabindex: "-1", "aria-label": "outcome" },
    h("h2", null, kindIcon(kind), title),
    conflict ? conflicted(app, outcome) : [told(outcome, event), event ? details(app, event) : null, guarded(app, event)],
    h("div", { class: "row" }, more, conflict ? button("Try again on what runs now", { kind: "primary", off: app.acts.off, onclick: () => app.tryAgain() }) : null,
      button("Dismiss", { onclick: () => app.acts.dismiss() })));
}

/** @returns {[kind: string, title: string]} */
function headline({ problem, act }, event) {
  if (!event && problem.status === 503) return ["bad", "No config owner answered"];
  if (!event) return ["bad", problem.title || "no answer"];
  const version = `version ${event.version}`;
  const [kind, words] = result(event.result);
  if (event.dry_run) {
    if (event.result === "unchanged") return ["quiet", `Nothing would change: ${version} runs on`];
    if (event.result === "success") return ["good", "It would be applied: every worker voted yes"];
    if (event.result === "partial") return ["warn", "It would be applied, but not every worker answered"];
    if (event.result === "on_trial") return ["trial", "It would go on trial"];
    return ["bad", `It would be refused; ${version} runs on`];
  }
  if (event.result === "success" && event.origin === "confirm" && event.version === event.previous_version) return ["good", `Version ${event.version} is confirmed, and stays`];
  if (event.result === "success" || event.result === "partial") {
    if (event.version === event.previous_version) return [kind, `${act}: done, ${version} runs`];
    return [kind, event.result === "partial" ? `Version ${event.version} runs, but not in every worker` : `Version ${event.version} runs in every worker`];
  }
  if (event.result === "unchanged") return ["quiet", `Nothing differed: ${version} runs on`];
  if (event.result === "on_trial") return ["trial", `Version ${event.version} is on trial, version ${event.previous_version} runs on`];
  return [kind, `${words[0].toUpperCase()}${words.slice(1)}; ${version} runs on`];
}

function told({ problem }, event) {
  if (!problem || event?.problems?.length) return null;
  return h("p", null, problem.detail || problem.message);
}

function details(app, event) {
  const waited = new Set((app.model.state.status?.pending ?? []).map((each) => JSON.stringify(each)));
  const pending = (event.pending ?? []).filter((each) => !waited.has(JSON.stringify(each))); // the rest is no news
  return [
    event.problems?.length ? problems(event.dry_run ? event.problems.filter((each) => !ofWorkers(each)) : event.problems) : null,
    event.dry_run ? votes(app, event) : null,
    event.changes?.length ? changes(event.changes, "What differs", event.dry_run ? ["runs", "would run"] : ["before", "after"]) : null,
    pending.length ? [h("h3", null, "Waits for a full reload of the server"), changes(pending, "What waits for a restart", ["runs", "waits"])] : null,
    event.evidence?.length ? h("ul", { class: "notes" }, event.evidence.map((each) => h("li", { key: each }, each))) : null,
    event.notes?.length ? h("ul", { class: "notes" }, event.notes.map((each) => h("li", { key: each }, each))) : null,
    event.lagging?.length && !event.dry_run ? h("ul", { class: "notes" }, event.lagging.map((each) => h("li", { key: each.pid }, `worker ${each.pid}: ${each.state}${each.reason ? `, ${each.reason}` : ""}`))) : null,
    event.duration_ms ? h("p", { class: "quiet took" }, bar(event, event.duration_ms), h("span", null, phasesInWords(event))) : null,
  ];
}

/** Each worker's vote in a dry run. A first no ends the vote, so that of the others nothing is known then. */
function votes(app, event) {
  const workers = app.model.state.status?.workers ?? [];
  if (!workers.length) return h("p", { class: "quiet" }, "No worker is attached: nobody has voted.");
  const asked = event.stage_ms > 0;
  const refused = event.problems.some(ofWorkers);
  return h("ul", { class: "votes", "aria-label": "votes" }, workers.map((worker) => {
    const [mark, word, why] = vote(worker, event, asked, refused, workers.length);
    return h("li", { key: worker.pid, class: word.startsWith("yes") ? "yes" : word.startsWith("no:") ? "no" : "open", title: why || null }, mark, h("b", null, `worker ${worker.pid}`), h("span", null, word));
  }));
}

/** Whether it is what workers say against it: `worker 77 and 3 more`, as its place or after its message. */
function ofWorkers(problem) {
  return SPEAKERS.test(problem.location) || SPEAKERS.test(problem.message);
}

/** Whether this worker is among them; of several only one is named, unless they are all that there are. */
function speaks(problem, pid, count) {
  const [, first, more = "0"] = SPEAKERS.exec(problem.location) ?? SPEAKERS.exec(problem.message) ?? [];
  return Number(first) === pid || (first !== undefined && Number(more) + 1 === count);
}

function vote(worker, event, asked, refused, count) {
  const named = event.problems.find((each) => speaks(each, worker.pid, count));
  const late = event.lagging.find((each) => each.pid === worker.pid);
  if (named) return [icon("cross"), `no: ${[named.key, named.message.replace(SPEAKERS, "")].filter(Boolean).join(": ")}`, ""];
  if (late) return [icon("clock"), `no answer${late.reason ? `: ${late.reason}` : ""}`, late.reason];
  if (event.result === "unchanged") return [icon("same"), "nothing to vote on", ""];
  if (refused) return [icon("ring"), "not known", "one no ends the vote"];
  if (!asked || !["success", "partial", "on_trial"].includes(event.result)) return [icon("ring"), "was not asked", "the content was refused before"];
  return [icon("check"), "yes", ""];
}

/** The guards that refuse a change, by the names that allow them. */
export function guardsOf(event) {
  if (event?.result !== "guarded") return [];
  return [...new Set(event.problems.flatMap((each) => [...each.message.matchAll(ALLOWS)].map((found) => found[1].replace(/['"`.,]+$/, ""))))];
}

function guarded(app, event) {
  const names = guardsOf(event);
  if (!names.length || event.dry_run) return null;
  return h("div", { class: "row" }, button(`Allow ${names.join(", ")}, and do it`, { kind: "danger", off: app.acts.off, onclick: () => app.acts.allowing(names) }));
}

/** Who changed what meanwhile, and what to do. */
function conflicted(app, { seen, problem }) {
  const { since = [], version } = problem.body;
  return h("div", { class: "prose" },
    h("p", null, since.length ? `You have seen version ${seen}. Meanwhile:` : [problem.detail || problem.message, version ? ` Version ${version} runs.` : null]),
    since.length ? h("ol", { class: "since" }, since.map((each) => h("li", { key: `${each.timestamp}-${each.version}` }, meanwhile(app, each)))) : null,
    h("p", null, "Nothing of yours was applied. Look at what changed; if your change is still right, try it again on what runs now."));
}

function meanwhile(app, event) {
  const who = caller(event.who);
  return [
    h("p", null, h("b", null, `Version ${event.version}`), `, ${origin(event.origin)}`, who ? [" by ", h("b", { title: callerTitle(event.who) }, who)] : null, ", ", time(event.timestamp, ago(event.timestamp, app.now)), event.reason ? `: “${event.reason}”` : null),
    event.changes.length ? changes(event.changes, `What version ${event.version} changed`) : null,
  ];
}

export function stateWord(worker) {
  return h("span", { class: `state ${worker.state}` }, stateIcon(worker.state), worker.state);
}
