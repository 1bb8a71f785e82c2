// The live view: the cameras, one or all, with what is seen in them, and the timeline of events beside them.

import * as api from "./api.js";
import { liveCamera } from "./camera.js";
import { failure, h } from "./dom.js";
import { openEvent } from "./event.js";
import { timeline } from "./timeline.js";

const TOGGLES = { boxes: "Boxes", labels: "Labels", zones: "Zones" };
const show = { boxes: true, labels: true, zones: true, ...remembered() };

export function live(params, go) {
    const tabs = h("div", { class: "tabs", role: "group", "aria-label": "Camera" });
    const toggles = Object.entries(TOGGLES).map(([name, label]) =>
        h("label", { class: "toggle" }, h("input", { type: "checkbox", checked: show[name], onchange: (event) => toggle(name, event.target.checked) }), label));
    const grid = h("div", { class: "grid" });
    const pictures = h("section", { class: "pictures", "aria-label": "Live pictures" }, h("div", { class: "bar" }, tabs, h("div", { class: "toggles" }, toggles)), grid);
    let shown = []; // the live cameras on the screen
    let cameras = null;
    let thresholds = {};
    let now = params;
    let closed = false;

    const events = timeline(params, {
        onfilter: (filter) => go({ look: now.look, ...filter }),
        onopen: (id) => go({ ...now, event: id }),
    });
    const dialog = openEvent({ onclose: () => now.event && go({ ...now, event: undefined }), thresholds: () => thresholds });

    async function load() {
        try {
            // Without the thresholds the pictures are as good, only nothing is loud.
            const [list, words] = await Promise.all([api.cameras(), api.vocabulary().catch(() => ({ actions: [] }))]);
            if (closed) return;
            cameras = list;
            thresholds = Object.fromEntries(words.actions.map((action) => [action.name, action.threshold]));
            events.offer(cameras, words.actions);
            place();
        } catch (error) {
            if (closed) return;
            grid.replaceChildren(failure(error));
            setTimeout(() => closed || load(), 3000);
        }
    }

    /** Puts the cameras that are looked at on the screen. */
    function place() {
        for (const camera of shown) camera.close();
        const all = cameras.length > 1;
        const looked = cameras.filter((camera) => !now.look || camera.name === now.look);
        const one = looked.length === 1;
        shown = looked.map((camera) => liveCamera(camera, show, thresholds, one));
        grid.classList.toggle("one", one);
        grid.replaceChildren(...(shown.length > 0 ? shown.map((camera) => camera.element) : [h("p", { class: "note" }, "No camera of this name is configured.")]));
        const names = cameras.map((camera) => [camera.name, camera.name]);
        tabs.replaceChildren(...(all ? [["", "All"], ...names] : []).map(([name, label]) =>
            h("button", { type: "button", "aria-pressed": String((now.look ?? "") === name), onclick: () => go({ ...now, look: name }) }, label)));
    }

    function toggle(name, on) {
        show[name] = on;
        remember();
        for (const camera of shown) camera.redraw();
    }

    load();
    dialog.update(params.event);
    return {
        element: h("div", { class: "live" }, pictures, events.element),
        update(params) {
            const look = now.look;
            now = params;
            if (cameras && params.look !== look) place();
            events.update(params);
            dialog.update(params.event);
        },
        close() {
            closed = true;
            for (const camera of shown) camera.close();
            events.close();
            dialog.close();
        },
    };
}

function remembered() {
    try {
        return JSON.parse(localStorage.getItem("show") ?? "{}");
    } catch {
        return {}; // a browser that keeps nothing
    }
}

function remember() {
    try {
        localStorage.setItem("show", JSON.stringify(show));
    } catch {
        // the next visit starts with everything shown
    }
}
