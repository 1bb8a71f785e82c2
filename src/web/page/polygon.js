// Points and polygons in shares of the picture, 0 to 1, and how the arrow keys move them.

const NEAR = 0.005; // one press of an arrow, as a share of the picture
const FAR = 0.05;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export const within = (number) => Math.min(1, Math.max(0, Math.round(number * 10000) / 10000));

/** How far an arrow key moves, in shares of the picture; nothing for other keys. */
export function step(event) {
    const [x, y] = ARROWS[event.key] ?? [];
    const far = event.shiftKey ? FAR : NEAR;
    return x === undefined ? null : [x * far, y * far];
}

/** Where a polygon's name stands: in the middle of its two highest corners, as low as the lower of them. */
export function place(polygon) {
    const [first, second] = polygon.toSorted((a, b) => a[1] - b[1]);
    return [(first[0] + second[0]) / 2, second[1]];
}

/** A polygon moved as a whole, as far as it stays in the picture. */
export function shifted(polygon, dx, dy) {
    const limit = (by, axis) => Math.min(1 - Math.max(...polygon.map((p) => p[axis])), Math.max(-Math.min(...polygon.map((p) => p[axis])), by));
    const [x, y] = [limit(dx, 0), limit(dy, 1)];
    return polygon.map((point) => [within(point[0] + x), within(point[1] + y)]);
}
