// "Try it": the people of the moment, scored against words that are not saved. A picture with their boxes, and a table of
// person × action, each score beside its threshold. Asks again after a pause in typing, and every few seconds.

import * as api from "./api.js";
import { every } from "./again.js";
import { choice, debounced, h, offer } from "./dom.js";
import { plain, score, time } from "./format.js";
import { caption, Picture } from "./picture.js";

const PAUSE_MS = 350;
const REFRESH_MS = 2500;

export function tryout() {
    const picture = new Picture("The current picture, with the people scored against the words as they stand here");
    const camera = choice({ name: "camera", "aria-label": "Camera", onchange: () => ask() }, []);
    const note = h("p", { class: "note", role: "status" }, "Waiting for a picture…");
    const table = h("table", { class: "tried" });
    const element = h(
        "section",
        { class: "trial", "aria-label": "Try it" },
        h("div", { class: "bar" }, h("h2", {}, "Try it"), camera),
        h("div", { class: "frame" }, picture.element),
        note,
        h("div", { class: "scroll" }, table),
    );
    let words = null;
    let asking = false;
    let stale = false; // the words changed while the box was asked
    let closed = false;

    async function ask() {
        if (!words || closed) return;
        if (asking) {
            stale = true;
            return;
        }
        asking = true;
        stale = false;
        const ready = usable(words);
        try {
            if (ready.actions.length === 0) throw new Error("Write an action with a name and a phrase to try it.");
            // Both wait for the next frame that is analysed, so they mostly show the same one.
            const [tried, blob] = await Promise.all([api.tryOut({ ...ready, camera: camera.value || undefined }), api.picture(camera.value)]);
            const image = await createImageBitmap(blob);
            if (closed) image.close();
            else show(tried.cameras[0], image, ready.actions);
        } catch (error) {
            if (!closed) tell(error);
        }
        asking = false;
        if (stale) ask();
    }

    function tell(error) {
        if (error.status === 429) return void later(); // another page is trying words just now
        note.textContent = error.message;
        note.hidden = false;
        if (error.status === 404 || error.status === undefined) table.replaceChildren();
    }

    function show(seen, image, actions) {
        const people = seen?.persons ?? [];
        const thresholds = Object.fromEntries(actions.map(({ name, threshold }) => [name, threshold]));
        picture.show(image, (pen) => {
            for (const { track, box, scores } of people) {
                const best = Object.entries(scores).filter(([name]) => name in thresholds).sort((a, b) => b[1] - a[1]).slice(0, 3);
                const { label, loud } = caption(track, best, thresholds);
                pen.person(box, label, loud);
            }
        });
        note.textContent = people.length > 0 ? "" : "Nobody is in the picture now.";
        note.hidden = people.length > 0;
        element.dataset.tried = (Number(element.dataset.tried) || 0) + 1;
        table.replaceChildren(
            h("caption", { class: "hidden" }, `Scores of the people in the picture${seen ? ` at ${time(seen.time)}` : ""}`),
            h("thead", {}, h("tr", {}, h("td", {}), actions.map(({ name }) => h("th", { scope: "col" }, plain(name))))),
            h("tbody", {}, people.map(({ track, scores }) => h(
                "tr",
                {},
                h("th", { scope: "row" }, `#${track}`),
                actions.map(({ name, threshold }) => h("td", { class: scores[name] >= threshold ? "number over" : "number", "data-score": name }, score(scores[name]))),
            ))),
        );
    }

    const soon = debounced(PAUSE_MS, ask);
    const later = debounced(1000, ask);
    let stop = () => {};
    api.cameras().then(
        (cameras) => {
            if (closed) return;
            offer(camera, cameras.map(({ name }) => name), cameras.find(({ status }) => status === "online")?.name ?? cameras[0]?.name);
            camera.hidden = cameras.length < 2;
            stop = every(REFRESH_MS, ask);
        },
        (error) => closed || tell(error),
    );
    return {
        element,
        /** What is to be tried from now on. */
        update(wanted) {
            words = wanted;
            soon();
        },
        close() {
            closed = true;
            stop();
            soon.cancel();
            later.cancel();
            picture.close();
        },
    };
}

/** What can be scored already of words that are being written. */
function usable({ actions, background }) {
    const named = actions.filter(({ name, phrases }) => name && phrases.length > 0);
    return { actions: named.map(({ name, phrases, threshold }) => ({ name, phrases, threshold })), background };
}
