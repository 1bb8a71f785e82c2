// The last few live pictures of a camera, so that what is told about a frame later can be drawn over that very frame.

import { feed } from "./feed.js";

const KEPT = 10;
const LATE_MS = 700; // a picture may come a little after what is told of it

/** Pictures as they come, each with its time. */
export class Recent {
    #frames = []; // { time (ms), image }, the oldest first
    #stop = () => {};
    #arrived = () => {};

    /** Follows another camera. */
    follow(camera) {
        this.close();
        this.#stop = feed(camera, ({ time, image }) => {
            this.#frames.push({ time: Date.parse(time), image });
            if (this.#frames.length > KEPT) this.#frames.shift().image.close();
            this.#arrived();
        }, () => {});
    }

    /** A copy of the picture taken at `time`, or of the one nearest to it; `null` if there is none. */
    async at(time) {
        const wanted = Date.parse(time);
        const has = () => this.#frames.some((frame) => frame.time >= wanted);
        const late = AbortSignal.timeout(LATE_MS);
        while (!has() && !late.aborted) {
            await new Promise((resolve) => {
                this.#arrived = resolve;
                late.addEventListener("abort", resolve, { once: true });
            });
        }
        const distance = (frame) => Math.abs(frame.time - wanted);
        const nearest = this.#frames.toSorted((a, b) => distance(a) - distance(b))[0];
        return nearest ? createImageBitmap(nearest.image) : null;
    }

    close() {
        this.#stop();
        for (const { image } of this.#frames.splice(0)) image.close();
    }
}
