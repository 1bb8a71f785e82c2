// The documented API and nothing else: one function per call, errors as the box words them, and whether the box can be
// reached at all. Knows nothing of what is on the screen.

const BASE = "/api/v1";
const PATIENCE_MS = 20_000;

/** `down` (nobody answers), `up` (somebody does again), `login` (a log-in is needed). */
export const reach = new EventTarget();

/** The box answered, and said no. */
export class Refused extends Error {
    constructor(status, body, retryAfter) {
        super(body.error ?? `The box answered ${status}.`);
        this.status = status;
        this.problems = body.problems ?? [];
        this.retryAfter = retryAfter;
    }
}

/** Nobody answered. */
export class Unreachable extends Error {
    constructor() {
        super("The box does not answer.");
    }
}

async function call(method, path, body) {
    let answer;
    try {
        answer = await fetch(BASE + path, {
            method,
            headers: body === undefined ? {} : { "content-type": "application/json" },
            body: body === undefined ? undefined : JSON.stringify(body),
            signal: AbortSignal.timeout(PATIENCE_MS),
        });
    } catch {
        reach.dispatchEvent(new Event("down"));
        throw new Unreachable();
    }
    reach.dispatchEvent(new Event("up"));
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    if (answer.status === 401 && path !== "/session") reach.dispatchEvent(new Event("login"));
    const said = await answer.json().catch(() => ({}));
    const wait = Number(answer.headers.get("retry-after"));
    throw new Refused(answer.status, explained(answer.status, path, said), wait || 1);
}

// An older box may not have what a newer page asks for; that is said, not hidden.
function explained(status, path, said) {
    if (status === 404 && !said.error) return { error: `This box has no ${BASE}${path}.` };
    return said;
}

const of = (camera) => `/cameras/${encodeURIComponent(camera)}`;
const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();

export const session = () => call("GET", "/session");
export const logIn = (password) => call("POST", "/session", { password });
export const logOut = () => call("DELETE", "/session", {});
export const status = () => call("GET", "/status");
export const history = () => call("GET", "/status/history");
export const cameras = () => call("GET", "/cameras");
export const pause = (camera) => call("POST", `${of(camera)}/pause`, {});
export const resume = (camera) => call("POST", `${of(camera)}/resume`, {});
export const regions = (camera) => call("GET", `${of(camera)}/regions`);
export const saveRegions = (camera, regions) => call("PUT", `${of(camera)}/regions`, regions);
export const events = (filter) => call("GET", `/events?${query(filter)}`);
export const event = (id) => call("GET", `/events/${encodeURIComponent(id)}`);
export const vocabulary = () => call("GET", "/vocabulary");
export const saveVocabulary = (vocabulary) => call("PUT", "/vocabulary", vocabulary);
export const tryOut = (words) => call("POST", "/vocabulary/try", words);
export const scores = (camera) => call("GET", `/scores?${query({ camera })}`);

/** Where an `<img>` finds an event's picture. */
export const eventPicture = (id) => `${BASE}/events/${encodeURIComponent(id)}/picture`;

/** Where the live pictures of a camera come from. */
export function liveAddress(camera) {
    const address = new URL(`${BASE}${of(camera)}/live`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    return address.href;
}

/** Where events are told as they begin and end. */
export const eventStream = `${BASE}/events/stream`;
