// Zones and privacy masks of one camera, drawn on its live picture. Beside it the same as a list, with names.

import * as api from "./api.js";
import { choice, failure, h, offer } from "./dom.js";
import { Draft } from "./draft.js";
import { feed } from "./feed.js";
import { Outlines } from "./outlines.js";
import { Picture } from "./picture.js";
import { saveBar } from "./save.js";

const drafts = new Map(); // camera → what was drawn there and not saved
const draftOf = (name) => drafts.get(name) ?? drafts.set(name, new Draft()).get(name);

export function zones(params, go) {
    const camera = choice({ name: "camera", "aria-label": "Camera", onchange: () => go({ camera: camera.value }) }, []);
    const picture = new Picture("Live picture");
    const outlines = new Outlines({ onchange: drawn, onselect: select, ondone: () => (hint.textContent = HINT) });
    const stage = h("div", { class: "frame stage" }, picture.element, outlines.element);
    const list = h("ul", { class: "regions", "aria-label": "Zones and masks" });
    const note = h("div", { class: "notes" });
    const hint = h("p", { class: "hint", role: "status" }, HINT);
    const undo = h("button", { type: "button", disabled: true, onclick: back }, "Undo");
    const tools = h("div", { class: "tools" },
        h("button", { type: "button", onclick: () => draw("zone") }, "New zone"),
        h("button", { type: "button", onclick: () => draw("mask") }, "New mask"),
        undo);
    const bar = saveBar(save, () => { draft.reset(draft.saved); past = []; place(); }, mark);
    const editor = h("div", { class: "zones-editor", hidden: true },
        h("div", { class: "column" }, h("div", { class: "bar" }, tools), stage, hint),
        h("section", { class: "side", "aria-label": "Zones and masks" }, list, bar.element));
    let draft = null;
    let past = []; // drafts before each change, for undo
    let stop = () => {};
    let closed = false;
    let wanted = params.camera;

    async function load() {
        try {
            const cameras = await api.cameras();
            if (closed) return;
            const name = cameras.some((one) => one.name === wanted) ? wanted : cameras[0]?.name;
            if (!name) throw new Error("No camera is configured.");
            offer(camera, cameras.map((one) => one.name), name);
            camera.hidden = cameras.length < 2;
            await open(name);
        } catch (error) {
            if (!closed) note.replaceChildren(failure(error));
        }
    }

    async function open(name) {
        stop();
        const has = await api.regions(name);
        if (closed) return;
        draft = draftOf(name);
        if (!draft.changed) draft.reset({ zones: has.zones, masks: has.masks });
        past = [];
        editor.hidden = false;
        note.replaceChildren();
        stop = feed(name, ({ image }) => {
            picture.show(image, () => {});
            outlines.size(image.width, image.height);
        }, (state) => (stage.dataset.state = state));
        place();
    }

    /** Puts the draft on the screen. */
    function place() {
        outlines.show(draft.now);
        list.replaceChildren(
            ...draft.now.zones.map((zone, k) => row("zone", k, zone)),
            ...draft.now.masks.map((_, k) => row("mask", k)));
        if (list.children.length === 0) list.append(h("li", { class: "none" }, "Nothing is drawn yet. An event names the zones in which the person stands; a mask blacks out what nobody is to see, before anything looks at the picture."));
        undo.disabled = past.length === 0;
        bar.update(draft.changed);
    }

    function row(kind, index, zone) {
        const remove = h("button", { type: "button", class: "quiet", "aria-label": `Remove ${kind} ${zone?.name ?? index + 1}`, onclick: () => outlines.remove(kind, index) }, "Remove");
        const name = zone
            ? h("input", { type: "text", name: "zone", value: zone.name, "aria-label": `Name of zone ${index + 1}`, autocomplete: "off", spellcheck: "false", onfocus: () => outlines.select(kind, index), oninput: () => { zone.name = name.value.trim(); outlines.label(index); bar.update(draft.changed); } })
            : h("button", { type: "button", class: "name", onclick: () => outlines.select(kind, index, true) }, `Mask ${index + 1}`);
        return h("li", { class: kind, "data-region": `${kind}-${index}` }, h("span", { class: "swatch", "aria-hidden": "true" }), name, remove);
    }

    /** A polygon was added, moved, reshaped or removed; `before` is how all of them were. */
    function drawn(before) {
        past = [...past.slice(-49), before];
        place();
    }

    function back() {
        const before = past.pop();
        if (!before) return;
        draft.now = before;
        place();
    }

    function draw(kind) {
        hint.textContent = DRAWING;
        outlines.draw(kind);
    }

    function select(kind, index) {
        for (const item of list.children) item.classList.toggle("selected", item.dataset.region === `${kind}-${index}`);
    }

    async function save() {
        const name = camera.value;
        const { changes } = await api.saveRegions(name, draft.now);
        draft.reset(draft.now);
        past = [];
        place();
        return `Saved in the file, and in effect: ${changes}`;
    }

    function mark(problems) {
        const inputs = [...list.querySelectorAll("input")];
        inputs.forEach((input, k) => input.toggleAttribute("aria-invalid", problems.some((problem) => problem.includes(`zone[${k}]`))));
        return problems;
    }

    const keys = (event) => {
        if (!(event.ctrlKey || event.metaKey) || event.key !== "z" || event.target.matches("input")) return;
        event.preventDefault();
        back();
    };
    addEventListener("keydown", keys);
    load();
    return {
        element: h("div", { class: "zones" }, h("div", { class: "bar" }, h("h1", {}, "Zones and masks"), camera), note, editor),
        update(params) {
            wanted = params.camera;
            load();
        },
        close() {
            closed = true;
            removeEventListener("keydown", keys);
            stop();
            picture.close();
        },
    };
}

const HINT = "Drag a corner or a whole outline; the small dots make new corners. With the keyboard: Tab to an outline or a corner, arrows move it (with Shift, far), Delete removes it.";
const DRAWING = "Click or tap the corners; a click on the first one, or Enter, closes the outline, Escape gives up. With the keyboard: arrows move the cross (with Shift, far), Space puts a corner.";
