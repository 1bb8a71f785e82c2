// A picture on a canvas with what is known about it drawn over it: boxes, track numbers, actions, zones. Its colours
// do not follow the page's theme, since a picture is neither dark nor light.

import { h } from "./dom.js";
import { plain, score } from "./format.js";
import { place } from "./polygon.js";

const QUIET = "#e9eff3"; // a person of whom no action is over its threshold
const LOUD = "#ffb224"; // one of whom some is
const ZONE = "#3ec6e0";
const FONT = '600 13px system-ui, "Segoe UI", Roboto, sans-serif';

/** A canvas that keeps the last picture and redraws it when its size on the screen changes. */
export class Picture {
    element = h("canvas", { class: "picture", role: "img" });
    #image = null;
    #draw = () => {};
    #observer = new ResizeObserver(() => this.redraw());

    constructor(label) {
        this.element.setAttribute("aria-label", label);
        this.#observer.observe(this.element);
    }

    /** Shows `image` (which becomes this one's own) and calls `draw(pen)` over it. */
    show(image, draw) {
        if (image !== this.#image) this.#image?.close();
        this.#image = image;
        this.#draw = draw;
        this.element.parentElement?.style.setProperty("--ratio", image.width / image.height);
        this.redraw();
    }

    redraw() {
        if (!this.#image) return;
        const { clientWidth: width, clientHeight: height } = this.element;
        const scale = devicePixelRatio || 1;
        const [w, t] = [Math.round(width * scale), Math.round(height * scale)];
        if (this.element.width !== w || this.element.height !== t) Object.assign(this.element, { width: w, height: t });
        const context = this.element.getContext("2d");
        context.setTransform(scale, 0, 0, scale, 0, 0);
        context.drawImage(this.#image, 0, 0, width, height);
        this.#draw(new Pen(context, width, height));
    }

    close() {
        this.#observer.disconnect();
        this.#image?.close();
        this.#image = null;
    }
}

/** Draws things given in shares of the picture. */
class Pen {
    #labels = []; // where some stand already: [left, top, right, bottom]

    constructor(context, width, height) {
        Object.assign(this, { context, width, height });
        context.font = FONT;
        context.textBaseline = "middle";
        context.lineJoin = "round";
    }

    /** A person's box; its `label`, if any, stands above it, or where no other one stands. */
    person(box, label, loud) {
        const { context, width, height } = this;
        const [x, y, right, bottom] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height];
        const colour = loud ? LOUD : QUIET;
        this.#stroke(() => context.strokeRect(x, y, right - x, bottom - y), colour);
        if (!label) return;
        const wide = context.measureText(label).width + 10;
        const tall = 20;
        const left = Math.max(0, Math.min(x - 1, width - wide));
        const free = (top) => top >= 0 && top + tall <= height && !this.#labels.some((other) => left < other[2] && left + wide > other[0] && top < other[3] && top + tall > other[1]);
        const above = y - tall;
        const top = [above, above - tall - 2, above - 2 * tall - 4, bottom + 1].find(free) ?? Math.max(0, above);
        this.#labels.push([left, top, left + wide, top + tall]);
        context.fillStyle = loud ? LOUD : "rgb(16 20 24 / 0.78)";
        context.beginPath();
        context.roundRect(left, top, wide, tall, 3);
        context.fill();
        context.fillStyle = loud ? "#1a1204" : QUIET;
        context.fillText(label, left + 5, top + 10.5);
    }

    /** A zone's outline and name. */
    zone(name, polygon) {
        const { context } = this;
        this.#path(polygon);
        context.fillStyle = "rgb(62 198 224 / 0.10)";
        context.fill();
        this.#stroke(() => context.stroke(), ZONE);
        const [x, y] = place(polygon);
        const wide = context.measureText(name).width;
        const left = Math.max(2, Math.min(x * this.width - wide / 2, this.width - wide - 2));
        context.lineWidth = 3;
        context.strokeStyle = "rgb(16 20 24 / 0.8)";
        context.strokeText(name, left, y * this.height + 14);
        context.fillStyle = ZONE;
        context.fillText(name, left, y * this.height + 14);
    }

    #path(polygon) {
        const { context } = this;
        context.beginPath();
        for (const [x, y] of polygon) context.lineTo(x * this.width, y * this.height);
        context.closePath();
    }

    // A dark line beneath makes the bright one visible on any picture.
    #stroke(stroke, colour) {
        const { context } = this;
        context.lineWidth = 4;
        context.strokeStyle = "rgb(16 20 24 / 0.55)";
        stroke();
        context.lineWidth = 2;
        context.strokeStyle = colour;
        stroke();
    }
}

/** What stands at a person's box: `#3 walking 0.82 +1`, the likeliest action and how many more are over their threshold. */
export function caption(track, actions, thresholds) {
    const [best] = actions;
    const over = actions.filter(([name, p]) => p >= (thresholds[name] ?? Infinity));
    const more = over.length > 1 ? ` +${over.length - 1}` : "";
    return { label: best ? `#${track} ${plain(best[0])} ${score(best[1])}${more}` : `#${track}`, loud: over.length > 0 };
}
