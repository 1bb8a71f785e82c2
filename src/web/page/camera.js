// One camera's live picture: the canvas, what is drawn over it, its state, and the people in it as words.

import { h } from "./dom.js";
import { feed } from "./feed.js";
import { plain, score, time } from "./format.js";
import { caption, Picture } from "./picture.js";

const STILL_MS = 10_000; // without a new picture, after which it is said
const STATES = {
    connecting: "Waiting for a picture…",
    lost: "No picture. Trying again…",
    still: "No new picture for a while. Health says how the camera is.",
};

/**
 * `camera` as the API tells it. `show` has `boxes`, `labels` and `zones`, read at each picture; `thresholds` is action →
 * threshold. With `people`, a list of the people stands below the picture.
 */
export function liveCamera(camera, show, thresholds, people) {
    const picture = new Picture(`Live picture of ${camera.name}`);
    const note = h("p", { class: "note" });
    const stamp = h("time", { class: "stamp" });
    const list = h("ul", { class: "people", "aria-label": `People in the picture of ${camera.name}` });
    let last = null;
    let still = 0; // a timer

    function tellState(state) {
        element.dataset.state = state;
        note.hidden = state === "live";
        const away = camera.status !== "online" && !last;
        note.textContent = away ? `This camera is ${camera.status}. Health says more.` : (STATES[state] ?? "");
    }

    function draw(pen) {
        if (show.zones) for (const zone of camera.zones) pen.zone(zone.name, zone.polygon);
        if (!show.boxes) return;
        for (const track of last.tracks) {
            const { label, loud } = caption(track.id, track.actions, thresholds);
            pen.person(track.box, show.labels && label, loud);
        }
    }

    const element = h(
        "figure",
        { class: "camera", "data-camera": camera.name, "data-state": "connecting" },
        h("div", { class: "frame" }, picture.element, note),
        h("figcaption", {}, h("span", { class: "dot", "aria-hidden": "true" }), h("strong", {}, camera.name), stamp),
        people && list,
    );
    const stop = feed(
        camera.name,
        (frame) => {
            last = frame;
            clearTimeout(still);
            still = setTimeout(tellState, STILL_MS, "still");
            element.dataset.persons = frame.tracks.length;
            stamp.textContent = time(frame.time);
            picture.show(frame.image, draw);
            if (people) tell(list, frame.tracks, thresholds);
        },
        tellState,
    );
    return {
        element,
        redraw: () => picture.redraw(),
        close() {
            stop();
            clearTimeout(still);
            picture.close();
        },
    };
}

/** The people as rows: track, and its likeliest actions with a bar each. Rows are kept, so that nothing flickers. */
function tell(list, tracks, thresholds) {
    if (tracks.length === 0) {
        if (!list.querySelector(".none")) list.replaceChildren(h("li", { class: "none" }, "Nobody in the picture."));
        return;
    }
    list.querySelector(".none")?.remove();
    const rows = new Map([...list.children].map((row) => [row.dataset.track, row]));
    for (const track of tracks) {
        const row = rows.get(String(track.id)) ?? h("li", { "data-track": track.id });
        rows.delete(String(track.id));
        row.replaceChildren(h("span", { class: "track" }, `#${track.id}`), ...scored(track, thresholds));
        if (!row.isConnected) list.append(row);
    }
    for (const gone of rows.values()) gone.remove();
}

const scored = ({ actions }, thresholds) =>
    actions.length > 0 ? actions.map(([name, p]) => likeliness(name, p, thresholds[name])) : [h("span", { class: "hint" }, "not scored yet")];

/** An action with its probability as a bar; it is loud at and over its threshold. */
function likeliness(name, p, threshold) {
    return h(
        "span",
        { class: p >= (threshold ?? Infinity) ? "likely over" : "likely" },
        h("span", { class: "name" }, plain(name)),
        h("meter", { min: 0, max: 1, value: p, "aria-label": plain(name) }),
        h("span", { class: "number" }, score(p)),
    );
}
