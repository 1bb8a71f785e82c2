// The timeline: events, newest first, filtered by camera, action, zone and time; new ones arrive by themselves. The
// filter is part of the address, so a view of it can be kept and sent.

import { Again } from "./again.js";
import * as api from "./api.js";
import { announce, choice, failure, h, offer } from "./dom.js";
import { date, plain, score, span, time } from "./format.js";

const PAGE = 50;
const MOST = 500; // rows on the screen
const FILTERS = ["camera", "action", "zone", "since", "from", "to"];
const SINCE = [["", "Any time"], ["1h", "Last hour"], ["24h", "Last 24 hours"], ["7d", "Last 7 days"], ["range", "From … to …"]];
const SECONDS = { "1h": 3600, "24h": 86400, "7d": 604800 };

/** `onfilter(filter)` when another is chosen, `onopen(id)` when an event is. */
export function timeline(params, { onfilter, onopen }) {
    let filter = pick(params);
    let shown = []; // events, newest first
    let turn = 0; // of loading: an answer to an older question is not for this list
    let source = null;

    const chosen = () => onfilter({ camera: camera.value, action: action.value, zone: zone.value, since: since.value, from: from.value, to: to.value });
    const camera = choice({ name: "camera", onchange: chosen }, [["", "All cameras"]], filter.camera);
    const action = choice({ name: "action", onchange: chosen }, [["", "All actions"]], filter.action);
    const zone = choice({ name: "zone", onchange: chosen }, [["", "All zones"]], filter.zone);
    const since = choice({ name: "since", onchange: chosen }, SINCE, filter.since);
    const from = h("input", { type: "datetime-local", name: "from", value: filter.from ?? "", onchange: chosen });
    const to = h("input", { type: "datetime-local", name: "to", value: filter.to ?? "", onchange: chosen });
    const range = h("div", { class: "range" }, h("label", {}, "From", from), h("label", {}, "To", to));
    const clear = h("button", { type: "button", class: "quiet", onclick: () => onfilter({}) }, "Clear");
    const list = h("ol", { class: "events", "aria-label": "Events, newest first" });
    const older = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => load(true) }, "Older events");
    const note = h("div", { class: "notes" });

    const element = h(
        "section",
        { class: "timeline", "aria-label": "Events" },
        h("div", { class: "bar" }, h("h2", {}, "Events"), clear),
        h("div", { class: "filters" }, labelled("Camera", camera), labelled("Action", action), labelled("Zone", zone), labelled("Time", since), range),
        note,
        list,
        older,
    );

    /** Asks for the newest events, or for those before the last one shown. */
    async function load(more = false) {
        const mine = more ? turn : ++turn;
        try {
            const answer = await api.events({ ...asked(filter), limit: PAGE, before: more ? shown.at(-1)?.id : undefined });
            if (mine !== turn) return;
            shown = more ? [...shown, ...answer.events] : answer.events;
            older.hidden = !answer.more || shown.length >= MOST;
            note.replaceChildren();
            reload.worked();
            draw();
        } catch (error) {
            if (mine !== turn) return;
            note.replaceChildren(failure(error));
            if (!more) reload.failed();
        }
    }

    function draw() {
        const focused = list.contains(document.activeElement) ? document.activeElement.dataset.event : null;
        const rows = [];
        let day = "";
        for (const event of shown) {
            const its = date(event.begin);
            if (its !== day) rows.push(h("li", { class: "day" }, (day = its)));
            rows.push(h("li", {}, row(event, onopen)));
        }
        if (rows.length === 0) rows.push(h("li", { class: "none" }, Object.values(filter).some(Boolean) ? "No event matches." : "No events yet."));
        list.replaceChildren(...rows);
        if (focused) list.querySelector(`[data-event="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }

    /** An event that began or ended just now. */
    function take(event) {
        const known = shown.findIndex((other) => other.id === event.id);
        if (known >= 0) shown[known] = event;
        else if (matches(event, filter)) {
            shown.unshift(event);
            shown.length = Math.min(shown.length, MOST);
            if (!event.end) announce(`${plain(event.action)}, camera ${event.camera}, ${time(event.begin)}`);
        } else return;
        draw();
    }

    const reload = new Again(() => load());
    const again = new Again(listen);
    function listen() {
        source = new EventSource(api.eventStream);
        source.onopen = () => {
            again.worked();
            load(); // what happened meanwhile
        };
        source.onmessage = ({ data }) => take(JSON.parse(data));
        source.onerror = () => {
            source.close();
            again.failed();
        };
    }

    function place() {
        range.hidden = filter.since !== "range";
        clear.hidden = !Object.values(filter).some(Boolean);
    }

    place();
    load();
    listen();
    return {
        element,
        offer(cameras, actions) {
            offer(camera, [["", "All cameras"], ...cameras.map(({ name }) => name)]);
            offer(action, [["", "All actions"], ...actions.map(({ name }) => [name, plain(name)])]);
            offer(zone, [["", "All zones"], ...new Set(cameras.flatMap(({ zones }) => zones.map(({ name }) => name)))]);
        },
        update(params) {
            const wanted = pick(params);
            if (JSON.stringify(wanted) === JSON.stringify(filter)) return;
            filter = wanted;
            for (const [name, input] of Object.entries({ camera, action, zone, since, from, to })) input.value = filter[name] ?? "";
            place();
            load();
        },
        close() {
            turn++;
            again.stop();
            reload.stop();
            source.close();
        },
    };
}

function row(event, onopen) {
    const lasted = event.end ? span((new Date(event.end) - new Date(event.begin)) / 1000) : "now";
    const where = [event.camera, ...event.zones, `#${event.track}`].join(" · ");
    return h(
        "button",
        { type: "button", class: event.end ? "event" : "event open", "data-event": event.id, onclick: () => onopen(event.id) },
        h("time", { datetime: event.begin }, time(event.begin)),
        h("span", { class: "what" }, h("strong", {}, plain(event.action)), h("span", { class: "where" }, where)),
        h("span", { class: "how" }, h("span", { class: "lasted" }, lasted), h("span", { class: "number", title: "highest score" }, score(event.peak))),
    );
}

const labelled = (text, input) => h("label", {}, h("span", { class: "hidden" }, text), input);
const pick = (params) => Object.fromEntries(FILTERS.map((name) => [name, params[name] || undefined]));

/** The filter as the API takes it. */
function asked({ camera, action, zone, since, from, to }) {
    const moment = (text) => (text ? new Date(text).toISOString() : undefined);
    if (since === "range") return { camera, action, zone, from: moment(from), to: moment(to) };
    return { camera, action, zone, from: since ? new Date(Date.now() - SECONDS[since] * 1000).toISOString() : undefined };
}

function matches(event, filter) {
    const { camera, action, zone, from, to } = asked(filter);
    const begin = new Date(event.begin);
    return (!camera || event.camera === camera) && (!action || event.action === action) && (!zone || event.zones.includes(zone))
        && (!from || begin >= new Date(from)) && (!to || begin <= new Date(to));
}
