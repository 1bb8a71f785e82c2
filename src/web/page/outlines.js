// Polygons over a picture, to be drawn, moved and reshaped with mouse, touch and keyboard. An SVG in the picture's own
// pixels lies over it: outlines and corners are elements that have the focus, names and a place in the tab order.

import { s } from "./dom.js";
import { DrawnOutline } from "./drawing.js";
import { place, shifted, step, within } from "./polygon.js";

/** `onchange(before)` after each change, `onselect(kind, index)`, `ondone()` when a drawing ends. */
export class Outlines {
    element = s("svg", { class: "outlines", viewBox: "0 0 1000 562", preserveAspectRatio: "none", "aria-label": "Zones and masks on the picture" });
    #regions = { zones: [], masks: [] };
    #told;
    #selected = null; // [kind, index]
    #width = 1000;
    #height = 562;
    #drawing = null;

    constructor(told) {
        this.#told = told;
        this.element.addEventListener("pointerdown", (event) => event.target === this.element && this.#drawing === null && this.select(null));
    }

    /** The picture's size in pixels. */
    size(width, height) {
        if (width === this.#width && height === this.#height) return;
        [this.#width, this.#height] = [width, height];
        this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
        this.#place();
    }

    /** Shows `regions`, which is changed in place from now on. */
    show(regions) {
        this.#regions = regions;
        this.#drawing?.stop();
        if (!this.#selected || !this.#polygon(...this.#selected)) this.#selected = null;
        this.#place();
    }

    select(kind, index, focus = false) {
        this.#selected = kind ? [kind, index] : null;
        this.#place();
        if (focus) this.element.querySelector(`[data-outline="${kind}-${index}"]`)?.focus();
        this.#told.onselect(kind, index);
    }

    remove(kind, index) {
        this.#change(() => this.#all(kind).splice(index, 1));
    }

    /** A zone's name has changed. */
    label(index) {
        const text = this.element.querySelector(`[data-label="${index}"]`);
        if (text) text.textContent = this.#regions.zones[index].name;
    }

    /** Lets the operator draw a new zone or mask. */
    draw(kind) {
        this.#drawing?.stop();
        this.select(null);
        this.#drawing = new DrawnOutline(this.element, (event) => this.#at(event), (points) => this.#point(points), (polygon) => {
            this.#drawing = null;
            this.#told.ondone();
            if (!polygon) return this.#place();
            const all = this.#all(kind);
            this.#change(() => all.push(kind === "zone" ? { name: this.#free(), polygon } : polygon));
            this.select(kind, all.length - 1, true);
        });
    }

    #free() {
        const names = this.#regions.zones.map(({ name }) => name);
        let k = 1;
        while (names.includes(`zone_${k}`)) k++;
        return `zone_${k}`;
    }

    #all = (kind) => (kind === "zone" ? this.#regions.zones : this.#regions.masks);
    #polygon(kind, index) {
        const region = this.#all(kind)[index];
        return kind === "zone" ? region?.polygon : region;
    }

    #change(work) {
        const before = structuredClone(this.#regions);
        work();
        this.#told.onchange(before);
    }

    #point = ([x, y]) => [x * this.#width, y * this.#height];
    #at(event) {
        const box = this.element.getBoundingClientRect();
        return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
    }

    #place() {
        const focused = document.activeElement?.dataset?.handle;
        const outlines = [
            ...this.#regions.masks.map((polygon, k) => this.#outline("mask", k, polygon)),
            ...this.#regions.zones.map(({ polygon, name }, k) => this.#outline("zone", k, polygon, name)),
        ];
        const handles = this.#selected ? this.#handles(...this.#selected) : [];
        this.element.replaceChildren(...outlines.flat(), ...handles, ...(this.#drawing ? [this.#drawing.layer] : []));
        if (focused) this.element.querySelector(`[data-handle="${focused}"]`)?.focus();
    }

    #outline(kind, index, polygon, name) {
        const chosen = this.#selected?.[0] === kind && this.#selected[1] === index;
        const shape = s("polygon", {
            class: `${kind}${chosen ? " selected" : ""}`, points: polygon.map(this.#point).join(" "), tabindex: 0, role: "button", "aria-pressed": String(chosen),
            "aria-label": kind === "zone" ? `Zone ${name}` : `Mask ${index + 1}`, "data-outline": `${kind}-${index}`, "data-handle": `${kind}-${index}`,
            onpointerdown: (event) => {
                this.select(kind, index);
                this.#drag(event, (dx, dy, first) => shifted(first, dx, dy), kind, index);
            },
            onkeydown: (event) => {
                if (event.key === "Enter" || event.key === " ") this.select(kind, index, true);
                else this.#key(event, kind, index, (polygon, dx, dy) => shifted(polygon, dx, dy), () => this.remove(kind, index));
            },
        });
        if (kind === "mask") return [shape];
        const [x, y] = this.#point(place(polygon));
        return [shape, s("text", { class: "name", x: Math.min(Math.max(x, 40), this.#width - 40), y: y + 22, "text-anchor": "middle", "data-label": index }, name)];
    }

    /** The corners of what is selected, and between them the dots from which new ones are drawn. */
    #handles(kind, index) {
        const polygon = this.#polygon(kind, index);
        const grip = this.#width / (this.element.clientWidth || this.#width); // one pixel on the screen
        const corners = polygon.map((corner, k) => {
            const [cx, cy] = this.#point(corner);
            const move = (polygon, dx, dy) => polygon.with(k, [within(polygon[k][0] + dx), within(polygon[k][1] + dy)]);
            return s("circle", {
                class: "corner", cx, cy, r: 8 * grip, tabindex: 0, role: "button", "aria-label": `Corner ${k + 1} of ${polygon.length}`, "data-handle": `${kind}-${index}-${k}`,
                onpointerdown: (event) => this.#drag(event, (dx, dy, first) => move(first, dx, dy), kind, index),
                onkeydown: (event) => this.#key(event, kind, index, move, () => polygon.length > 3 && this.#put(kind, index, polygon.toSpliced(k, 1))),
            });
        });
        const dots = polygon.map((corner, k) => {
            const next = polygon[(k + 1) % polygon.length];
            const middle = [(corner[0] + next[0]) / 2, (corner[1] + next[1]) / 2];
            const [cx, cy] = this.#point(middle);
            return s("circle", {
                class: "between", cx, cy, r: 5 * grip, "aria-hidden": "true",
                onpointerdown: (event) => this.#drag(event, (dx, dy, first) => first.toSpliced(k + 1, 0, [within(middle[0] + dx), within(middle[1] + dy)]), kind, index),
            });
        });
        return [...dots, ...corners];
    }

    #put(kind, index, polygon) {
        this.#change(() => this.#set(kind, index, polygon));
    }

    #set(kind, index, polygon) {
        if (kind === "zone") this.#regions.zones[index].polygon = polygon;
        else this.#regions.masks[index] = polygon;
    }

    /** Follows the pointer; `moved(dx, dy, first)` is the polygon then. One change, however long it takes. */
    #drag(event, moved, kind, index) {
        if (this.#drawing || event.button !== 0) return;
        event.preventDefault();
        event.stopPropagation();
        const before = structuredClone(this.#regions);
        const first = structuredClone(this.#polygon(kind, index));
        const [x, y] = this.#at(event);
        let any = false;
        this.select(kind, index);
        this.element.setPointerCapture(event.pointerId);
        const follow = (event) => {
            const [nx, ny] = this.#at(event);
            any ||= Math.hypot(nx - x, ny - y) > 0.003;
            if (!any) return;
            this.#set(kind, index, moved(nx - x, ny - y, first));
            this.#place();
        };
        const end = () => {
            this.element.removeEventListener("pointermove", follow);
            if (any) this.#told.onchange(before);
        };
        this.element.addEventListener("pointermove", follow);
        this.element.addEventListener("lostpointercapture", end, { once: true });
    }

    #key(event, kind, index, moved, remove) {
        const by = step(event);
        if (by) this.#put(kind, index, moved(this.#polygon(kind, index), ...by));
        else if (event.key === "Delete" || event.key === "Backspace") remove();
        else return;
        event.preventDefault();
    }
}
