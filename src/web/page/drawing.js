// An outline while it is drawn: corners put one by one with pointer or keyboard, closed or given up in the end.

import { s } from "./dom.js";
import { step, within } from "./polygon.js";

const CLOSE = 14; // pixels on the screen from the first corner that count as on it

/**
 * Listens on `svg`. `at(event)` is where a pointer is and `point(corner)` where that is in the SVG; `done(polygon)` is
 * called once, with nothing if it was given up.
 */
export class DrawnOutline {
    #svg;
    #at;
    #point;
    #done;
    #corners = [];
    #cross = [0.5, 0.5];
    #keyboard = false;
    layer = s("g", { class: "drawing" });
    #ends = new AbortController();

    constructor(svg, at, point, done) {
        [this.#svg, this.#at, this.#point, this.#done] = [svg, at, point, done];
        svg.append(this.layer);
        svg.setAttribute("tabindex", "0");
        svg.classList.add("drawing");
        svg.focus({ preventScroll: true });
        const { signal } = this.#ends;
        svg.addEventListener("pointerdown", (event) => this.#press(event), { signal, capture: true });
        svg.addEventListener("pointermove", (event) => this.#hover(event), { signal });
        svg.addEventListener("keydown", (event) => this.#key(event), { signal });
    }

    /** Gives up. */
    stop() {
        this.#finish(null);
    }

    #press(event) {
        event.preventDefault();
        event.stopPropagation();
        this.#keyboard = false;
        this.#cross = this.#at(event);
        if (this.#corners.length > 2 && this.#near(event)) this.#finish(this.#corners);
        else this.#put();
    }

    #near(event) {
        const box = this.#svg.getBoundingClientRect();
        const [x, y] = this.#corners[0];
        return Math.hypot(event.clientX - box.left - x * box.width, event.clientY - box.top - y * box.height) < CLOSE;
    }

    #hover(event) {
        this.#cross = this.#at(event);
        this.#draw();
    }

    #key(event) {
        const by = step(event);
        if (by) {
            this.#keyboard = true;
            this.#cross = [within(this.#cross[0] + by[0]), within(this.#cross[1] + by[1])];
            this.#draw();
        } else if (event.key === " ") this.#put();
        else if (event.key === "Enter" && this.#corners.length > 2) this.#finish(this.#corners);
        else if (event.key === "Escape") this.#finish(null);
        else if (event.key === "Backspace") (this.#corners.pop(), this.#draw());
        else return;
        event.preventDefault();
    }

    #put() {
        const last = this.#corners.at(-1);
        if (last && last[0] === this.#cross[0] && last[1] === this.#cross[1]) return;
        this.#corners.push(this.#cross);
        this.#draw();
    }

    #finish(polygon) {
        if (this.#ends.signal.aborted) return;
        this.#ends.abort();
        this.layer.remove();
        this.#svg.removeAttribute("tabindex");
        this.#svg.classList.remove("drawing");
        this.#done(polygon);
    }

    #draw() {
        const path = [...this.#corners, this.#cross].map(this.#point);
        const [x, y] = this.#point(this.#cross);
        this.layer.replaceChildren(
            s("polyline", { points: path.join(" ") }),
            ...this.#corners.map(this.#point).map(([cx, cy], k) => s("circle", { cx, cy, r: k === 0 ? 9 : 5, class: k === 0 ? "first" : "" })),
            ...(this.#keyboard ? [s("path", { class: "cross", d: `M${x - 14} ${y}H${x + 14}M${x} ${y - 14}V${y + 14}` })] : []),
        );
    }
}
