// How the box is: what it runs, how fast, what it loses, how warm it is. Numbers of the moment, and the last hour as
// small plots.

import * as api from "./api.js";
import { every } from "./again.js";
import { failure, h } from "./dom.js";
import { count, fixed, mebibytes, plain, span } from "./format.js";
import { bars, series } from "./plot.js";

const REFRESH_MS = 2000;
const HISTORY_MS = 15_000;
const COLUMNS = ["captured", "analysed", "dropped", "missed", "corrupted", "failed", "reopened"];

export function health() {
    const note = h("div", { class: "notes" });
    const cards = h("div", { class: "cards" });
    const cameras = h("tbody", {});
    const stages = h("div", {});
    const element = h(
        "div",
        { class: "health" },
        h("h1", {}, "Health"),
        note,
        cards,
        h("section", { class: "card", "aria-label": "Cameras" }, h("h2", {}, "Cameras"), h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Counters of each camera" }, h("table", { class: "counters" },
            h("thead", {}, h("tr", {}, ["Camera", "Status", "Frames/s", "People", ...COLUMNS.map((name) => name[0].toUpperCase() + name.slice(1))].map((name) => h("th", { scope: "col" }, name)), h("td", {}))),
            cameras))),
        h("section", { class: "card", "aria-label": "Stages" }, h("h2", {}, "Time of each stage, of one frame"), stages),
    );
    let past = null;
    let fetched = 0;

    async function refresh() {
        try {
            if (Date.now() - fetched > HISTORY_MS) {
                fetched = Date.now();
                past = await api.history().catch((error) => ({ error }));
            }
            const status = await api.status();
            note.replaceChildren(...(past?.error ? [failure(past.error)] : []));
            cards.replaceChildren(...numbers(status, past?.series ?? {}));
            if (!cameras.contains(document.activeElement)) cameras.replaceChildren(...status.cameras.flatMap((camera) => row(camera, refresh)));
            const told = Object.entries(status.stage_ms).map(([name, ms]) => [plain(name), ms]);
            stages.replaceChildren(told.length > 0 ? bars(told, "ms") : h("p", { class: "note" }, "No frame was analysed yet."));
        } catch (error) {
            note.replaceChildren(failure(error));
        }
    }

    return { element, update() {}, close: every(REFRESH_MS, refresh) };
}

/** The cards: a number each, what belongs to it, and its last hour. */
function numbers(status, past) {
    const { broker, spool, latency_ms: latency } = status;
    const sent = ["sent", "acknowledged", "dropped", "expired"].map((name) => `${count(broker[name])} ${name}`).join(", ");
    const warm = [...status.temperatures].sort((a, b) => b.celsius - a.celsius);
    const online = status.cameras.filter(({ status }) => status === "online").length;
    const fps = status.cameras.reduce((sum, camera) => sum + (camera.fps ?? 0), 0);
    return [
        card("Frames analysed", `${fixed(fps)} /s`, `${online} of ${status.cameras.length} cameras online, ${count(status.frames_waiting)} frames wait`, past.fps),
        card("Latency, 95 %", latency.p95 == null ? "–" : `${fixed(latency.p95, 0)} ms`, latency.p50 == null ? "no frame yet" : `half within ${fixed(latency.p50, 0)} ms`, past.latency_p95_ms),
        card("Broker", broker.connected ? "Connected" : "Not connected", sent, undefined, broker.connected ? "" : "bad"),
        card("Spool", count(spool.waiting), `events wait for the broker; spool ${plain(spool.state)}`, past.spool),
        card("Memory", status.memory_bytes ? mebibytes(status.memory_bytes) : "–", "resident", past.memory_bytes),
        card("Temperature", warm[0] ? `${fixed(warm[0].celsius)} °C` : "–", warm.map(({ zone }) => zone)[0] ?? "this board tells none", past.temperature),
        card("Model pack", status.pack ?? "–", status.engine),
        card("Running for", span(status.uptime_seconds), `${status.node}, Watchword ${status.version}`),
    ];
}

function card(name, number, more, values, mood = "") {
    const known = (values ?? []).filter((value) => value !== null);
    const drawn = known.length > 1;
    return h("section", { class: "card number", "aria-label": name },
        h("h2", {}, name),
        h("p", { class: `figure ${mood}` }, number),
        h("p", { class: "hint" }, more ?? ""),
        drawn && series(values, `${name} over the last hour, ${fixed(Math.min(...known))} to ${fixed(Math.max(...known))}`));
}

/** A camera's counters, and below them why it is not well. */
function row(camera, refresh) {
    const paused = camera.status === "paused";
    const button = h("button", { type: "button", class: "quiet", "aria-label": `${paused ? "Resume" : "Pause"} ${camera.name}`, onclick: async () => {
        button.disabled = true;
        try {
            await (paused ? api.resume(camera.name) : api.pause(camera.name));
        } catch (error) {
            button.replaceWith(failure(error));
        }
        button.blur();
        refresh();
    } }, paused ? "Resume" : "Pause");
    const counters = h("tr", { "data-camera": camera.name },
        h("th", { scope: "row" }, camera.name),
        h("td", {}, h("span", { class: `status ${camera.status}` }, camera.status)),
        h("td", { class: "number" }, fixed(camera.fps)),
        h("td", { class: "number" }, count(camera.persons)),
        COLUMNS.map((name) => h("td", { class: "number", "data-counter": name }, count(camera[name]))),
        h("td", {}, button));
    return camera.last_error ? [counters, h("tr", { class: "why" }, h("td", { colspan: 5 + COLUMNS.length }, camera.last_error))] : [counters];
}
