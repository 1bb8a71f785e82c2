// One event in a dialog: what, where, when, how its score went, and its picture if one was kept.

import * as api from "./api.js";
import { failure, h, s } from "./dom.js";
import { date, plain, score, span, time } from "./format.js";
import { curve } from "./plot.js";

/** A dialog that `update(id)` opens on an event, or closes; `onclose()` when the operator closes it. */
export function openEvent({ onclose, thresholds }) {
    const title = h("h2", { id: "event-title" });
    const body = h("div", { class: "body" });
    const dismiss = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close");
    const dialog = h("dialog", { "aria-labelledby": "event-title", class: "sheet" }, h("div", { class: "bar" }, title, dismiss), body);
    // A click beside it closes it, as Escape does.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
        const left = shown;
        shown = undefined;
        onclose();
        document.querySelector(`[data-event="${CSS.escape(left ?? "")}"]`)?.focus();
    });
    document.body.append(dialog);
    let shown;

    async function update(id) {
        if (id === shown) return;
        shown = id;
        if (!id) return dialog.close();
        title.textContent = "Event";
        body.replaceChildren(h("p", { class: "note" }, "Loading…"));
        dialog.showModal();
        try {
            const event = await api.event(id);
            if (shown !== id) return;
            title.textContent = plain(event.action);
            body.replaceChildren(...told(event, thresholds()[event.action]));
        } catch (error) {
            if (shown === id) body.replaceChildren(failure(error));
        }
    }

    return {
        update,
        close() {
            shown = undefined;
            dialog.remove();
        },
    };
}

function told(event, threshold) {
    const lasted = event.end ? span((new Date(event.end) - new Date(event.begin)) / 1000) : "still going on";
    const facts = [
        ["Camera", event.camera],
        ["Track", `#${event.track}`],
        ["Zones", event.zones.join(", ") || "none"],
        ["Began", `${date(event.begin)}, ${time(event.begin)}`],
        ["Lasted", lasted],
        ["Highest score", score(event.peak)],
    ];
    const points = event.scores.map(([when, p]) => [new Date(when).getTime(), p]);
    return [
        h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
        h("h3", {}, "Score"),
        points.length > 1
            ? curve(points, { threshold, from: new Date(event.begin).getTime(), to: event.end ? new Date(event.end).getTime() : undefined, label: `Score of ${plain(event.action)} over time; highest ${score(event.peak)}` })
            : h("p", { class: "note" }, "No scores were kept for this event."),
        event.has_picture ? kept(event) : h("p", { class: "note" }, "No picture was kept. Set mqtt.snapshots to keep one with each event."),
    ];
}

/** The event's picture with the person's box over it. */
function kept(event) {
    const image = h("img", { src: api.eventPicture(event.id), alt: `The person at the event, camera ${event.camera}` });
    image.addEventListener("error", () => frame.replaceWith(h("p", { class: "note" }, "The picture is not kept any more.")));
    const [x, y, right, bottom] = event.box ?? [0, 0, 0, 0];
    const box = s("svg", { class: "kept", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect", { x, y, width: right - x, height: bottom - y }));
    const frame = h("div", { class: "frame" }, image, event.box && box);
    return frame;
}
