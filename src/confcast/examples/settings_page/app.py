"""The application: a shop's first page, and the page on which its settings are changed.

No line of it waits for a worker or looks for one: a verb of the replica returns when every worker has answered, and the
request that follows, in whichever worker, sees the new version. A request is pinned to the version that it began with,
and so is the one that saves: its answer sends the browser on, to a request that begins afterwards.

A unit test needs no owner: `with settings.override(Settings(...)): app.test_client().get("/")`.
"""

from __future__ import annotations

import os

from flask import Flask, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from confcast import OwnerUnavailable, Status
from confcast.examples.settings_page import saving, session
from confcast.examples.settings_page.form import FIELDS, Form, has_one
from confcast.examples.settings_page.settings import settings

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


@app.get("/")
def shop() -> str:
    """What customers see. Everything in it is of one version."""
    return render_template("shop.html", config=settings.current, version=settings.version, pid=os.getpid())


@app.get("/settings")
def show() -> AnyResponse | str:
    """The form of what runs; after a save, what became of it."""
    name = session.signed_in(request, settings.current)
    if name is None:
        return redirect(url_for("sign_in"))
    mark = request.args.get("saved", "")
    return _page(name, saving.saved(mark, name) if mark else None)


@app.post("/settings")
def save() -> AnyResponse | str:
    """Save, or give a key back to the file. Saved: the browser is sent on, so that loading it again saves nothing."""
    name = session.signed_in(request, settings.current)
    if name is None:
        return redirect(url_for("sign_in"), 303)
    if not session.is_own_form(request, name, settings.current):
        abort(403, "This form is not of this session: load the page again, and nothing is lost on the server.")
    try:
        form = Form.sent(request.form)
    except ValueError:
        abort(400, "This is not the form of this page.")
    mark = saving.new_mark(name)
    outcome = saving.give_back(form.give_back, form.version, mark) if form.give_back else saving.save(form, mark)
    if outcome.form is None and outcome.status < 400 and (form.give_back or form.changed()):
        return redirect(url_for("show", saved=mark), 303)
    return _page(name, outcome)


@app.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> AnyResponse | tuple[str, int] | str:
    """Ask for a token, and begin a session."""
    if request.method == "GET":
        return render_template("sign_in.html", wrong=False)
    name = session.administrator_with(request.form.get("token", "").strip(), settings.current)
    if name is None:
        return render_template("sign_in.html", wrong=True), 401
    response = redirect(url_for("show"), 303)
    session.begin(response, name, settings.current, secure=request.is_secure)
    return response


@app.post("/sign-out")
def sign_out() -> AnyResponse:
    """End the session of this browser."""
    response = redirect(url_for("sign_in"), 303)
    session.end(response)
    return response


@app.before_request
def _refuse_forms_of_other_sites() -> None:
    if request.method == "POST" and not session.is_of_this_site(request):
        abort(403, "This form was sent by a page of another site.")


@app.after_request
def _restrict(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"  # "no-referrer" would have browsers send `Origin: null`
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response


def _page(name: str, outcome: saving.Outcome | None) -> AnyResponse:
    form = outcome.form if outcome and outcome.form else Form.of(settings.current, settings.version)
    status = _status()
    text = render_template(
        "settings.html",
        fields=FIELDS,
        form=form,
        have_one={field.key for field in FIELDS if has_one(settings.current, field)},
        form_token=session.form_token(request, name, settings.current),
        name=name,
        outcome=outcome,
        set_here={each.key: each for each in status.overrides} if status else {},
        status=status,
    )
    return app.make_response((text, outcome.status if outcome else 200))


def _status() -> Status | None:
    try:
        return settings.status()
    except OwnerUnavailable:
        return None  # the workers serve on; the page says that nothing can be saved now
