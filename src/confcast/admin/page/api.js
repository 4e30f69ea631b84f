/** Questions to the server, each with the token and the owner that is chosen. An answer that is no success is a Problem. */

const DEADLINE = 30; // seconds

/** A refusal as the server words it (RFC 9457), or what kept an answer from coming. */
export class Problem extends Error {
  /** @param {Record<string, any>} body */
  constructor(body) {
    super(body.detail || body.title || "no answer");
    this.status = body.status ?? 0;
    this.title = body.title ?? "";
    this.detail = body.detail ?? "";
    this.result = body.result ?? "";
    this.problems = body.problems ?? [];
    this.event = body.event ?? null;
    this.body = body;
  }
}

export class Api {
  /**
   * @param {string} token
   * @param {(problem: Problem) => void} refused called when the token is not, or no longer, one of the server's
   */
  constructor(token, refused) {
    this.token = token;
    this.owner = "";
    this.refused = refused;
  }

  headers(more = {}) {
    return { Authorization: `Bearer ${this.token}`, ...more };
  }

  url(path, query = {}) {
    const given = Object.entries({ owner: this.owner, ...query }).filter(([, value]) => value !== "" && value !== undefined && value !== null);
    const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    return text ? `/v1/${path}?${text}` : `/v1/${path}`;
  }

  /** @returns {Promise<any>} the answer's data */
  async get(path, query) {
    return this.#asked(this.url(path, query), { headers: this.headers() });
  }

  /**
   * A change, or a trial run.
   * @param {string} path
   * @param {Record<string, any>} body
   * @param {number | null} seen the version that the person has seen; null where none is asked for
   * @param {number} within seconds that the owner may take
   */
  async post(path, body, seen = null, within = 0) {
    const match = seen === null ? {} : { "If-Match": `"${seen}"` };
    return this.#asked(this.url(path), {
      method: "POST",
      headers: this.headers({ "Content-Type": "application/json", ...match }),
      body: JSON.stringify(body),
    }, DEADLINE + within);
  }

  async #asked(url, options, within = DEADLINE) {
    let response;
    try {
      response = await fetch(url, { ...options, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(1000 * within) });
    } catch (error) {
      const late = error.name === "TimeoutError" ? `There was no answer within ${within} s.` : "The admin server does not answer: it has ended, or the connection is lost.";
      throw new Problem({ title: "no answer", detail: options.method ? `${late} What became of it is unknown: the timeline will say.` : late });
    }
    if (response.ok) return response.json();
    const problem = new Problem({ ...(await parsed(response)), status: response.status, retryAfter: Number(response.headers.get("Retry-After")) || 0 });
    if (problem.status === 401) this.refused(problem);
    throw problem;
  }
}

async function parsed(response) {
  try {
    return await response.json();
  } catch {
    return { title: `status ${response.status}` };
  }
}
