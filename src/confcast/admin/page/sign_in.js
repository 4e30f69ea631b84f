/** The first view: a token, pasted. It stays in this tab's memory, never in an address. */

import { h } from "./dom.js";
import { button, field } from "./parts/controls.js";

let token = "";
let asking = false;

/** @param {import("./app.js").App} app */
export function signIn(app) {
  const onsubmit = async (event) => {
    event.preventDefault();
    if (asking || !token.trim()) return;
    asking = true;
    app.redraw();
    await app.model.signIn(token.trim());
    asking = false;
    if (app.model.state.session) token = "";
    app.redraw();
    app.afterDrawing(() => {
      if (document.activeElement === document.body) document.getElementById("heading")?.focus(); // else a person is further already
    });
  };
  return h("main", { class: "sign-in", id: "main", key: "sign-in" },
    h("h1", { class: "brand" }, "confcast"),
    h("form", { onsubmit },
      field("Token", { id: "token", type: "password", value: token, required: true, oninput: (event) => { token = event.target.value; } },
        "confcast admin says at its start in which file the tokens are: one that reads, one that writes."),
      h("p", { class: "wrong", role: "alert" }, app.model.state.signInProblem),
      button(asking ? "One moment" : "Sign in", { kind: "primary", submit: true, off: asking ? "one moment" : "", onclick: () => {} })));
}
