/** A question before something is done: a native <dialog>, so that Esc, the focus and what lies behind it are the browser's. */

import { h, patch } from "../dom.js";
import { button, field } from "./controls.js";

/**
 * Ask, and wait.
 * @param {{title: string, text: any, action: string, danger?: boolean, fields?: {name: string, label: string, hint?: string, required?: boolean, check?: (text: string) => string}[]}} question
 * @returns {Promise<Record<string, string> | null>} what was filled in; null if it was dismissed
 */
export function ask(question) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("dialog"));
  const values = Object.fromEntries((question.fields ?? []).map(({ name }) => [name, ""]));
  let wrong = "";
  return new Promise((resolve) => {
    const done = (answer) => {
      dialog.onclose = null;
      if (dialog.open) dialog.close();
      patch(dialog, []);
      resolve(answer);
    };
    const onsubmit = (event) => {
      event.preventDefault();
      wrong = (question.fields ?? []).map(({ name, check }) => check?.(values[name]) ?? "").find(Boolean) ?? "";
      if (wrong) draw();
      else done(values);
    };
    const draw = () => patch(dialog, [
      h("form", { onsubmit, class: "asking" },
        h("h2", { id: "dialog-title" }, question.title),
        h("div", { class: "prose" }, question.text),
        (question.fields ?? []).map((each) => field(each.label, {
          id: `ask-${each.name}`,
          required: each.required ?? null,
          maxlength: "500",
          value: values[each.name],
          oninput: (event) => { values[each.name] = event.target.value; },
        }, each.hint)),
        h("p", { class: "wrong", role: "alert" }, wrong),
        h("div", { class: "row end" },
          button("Cancel", { onclick: () => done(null) }),
          button(question.action, { kind: question.danger ? "danger" : "primary", submit: true, onclick: () => {} }))),
    ]);
    draw();
    dialog.onclose = () => done(null);
    dialog.showModal();
    dialog.querySelector("input")?.focus();
  });
}
