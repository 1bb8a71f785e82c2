// Small plots as SVG: a score over time, a series, a histogram, bars. Each has a name for those who do not see it.
// Colours are the style sheet's, by class.

import { h, s } from "./dom.js";
import { time } from "./format.js";

const line = (points) => points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

/** Scores of 0 to 1 over time, `points` being `[milliseconds, score]`, with the threshold and the event's own span. */
export function curve(points, { threshold, from, to, label }) {
    const [width, height, left, bottom] = [600, 180, 28, 20];
    const [first, last] = [Math.min(from, points[0][0]), Math.max(to ?? from, points.at(-1)[0])];
    const x = (when) => left + ((when - first) / (last - first || 1)) * (width - left - 4);
    const y = (score) => 6 + (1 - score) * (height - bottom - 6);
    const grid = [0, 0.5, 1].flatMap((score) => [
        s("line", { class: "grid", x1: left, x2: width, y1: y(score), y2: y(score) }),
        s("text", { class: "tick", x: left - 5, y: y(score) + 4, "text-anchor": "end" }, String(score)),
    ]);
    return s(
        "svg",
        { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
        s("rect", { class: "during", x: x(from), y: y(1), width: Math.max(1, x(to ?? last) - x(from)), height: y(0) - y(1) }),
        grid,
        threshold !== undefined && [
            s("line", { class: "threshold", x1: left, x2: width, y1: y(threshold), y2: y(threshold) }),
            s("text", { class: "tick threshold", x: width - 4, y: y(threshold) - 5, "text-anchor": "end" }, "threshold"),
        ],
        s("path", { class: "line", d: line(points.map(([when, score]) => [x(when), y(score)])) }),
        s("text", { class: "tick", x: left, y: height - 4 }, time(first)),
        s("text", { class: "tick", x: width - 4, y: height - 4, "text-anchor": "end" }, time(last)),
    );
}

/** A series over the last hour from zero up; what is null is a gap. */
export function series(values, label) {
    const [width, height] = [240, 56];
    const known = values.filter((value) => value !== null && Number.isFinite(value));
    const most = Math.max(...known, 0) * 1.1 || 1;
    const at = (value, k) => [(k / Math.max(values.length - 1, 1)) * width, height - 2 - (value / most) * (height - 6)];
    const runs = [[]];
    values.forEach((value, k) => (value === null ? runs.push([]) : runs.at(-1).push(at(value, k))));
    const drawn = runs.filter((run) => run.length > 1);
    return s(
        "svg",
        { class: "plot series", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
        drawn.map((run) => s("path", { class: "area", d: `${line(run)}L${run.at(-1)[0].toFixed(1)} ${height}L${run[0][0].toFixed(1)} ${height}Z` })),
        drawn.map((run) => s("path", { class: "line", d: line(run) })),
    );
}

/** Counts between `edges` of 0 to 1, what is at or over `threshold` marked. Roots, since most scores are near zero. */
export function histogram(edges, counts, threshold, label) {
    const [width, height] = [400, 64];
    const most = Math.sqrt(Math.max(...counts, 1));
    const bars = counts.map((count, k) => {
        const [x, next] = [edges[k] * width, edges[k + 1] * width];
        const tall = count === 0 ? 0 : Math.max(2, (Math.sqrt(count) / most) * (height - 2));
        return s("rect", { class: edges[k + 1] > threshold ? "bin over" : "bin", x: x + 0.5, y: height - tall, width: next - x - 1, height: tall });
    });
    return s(
        "svg",
        { class: "plot histogram", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
        bars,
        s("line", { class: "threshold", x1: threshold * width, x2: threshold * width, y1: 0, y2: height }),
    );
}

/** Named amounts as bars, the longest being whole. */
export function bars(amounts, unit) {
    const most = Math.max(...amounts.map(([, amount]) => amount), 1e-9);
    return h("table", { class: "bars" }, h("tbody", {}, amounts.map(([name, amount]) => h(
        "tr",
        {},
        h("th", { scope: "row" }, name),
        h("td", { class: "meter" }, h("meter", { min: 0, max: most, value: amount, "aria-hidden": "true" })),
        h("td", { class: "number" }, `${amount.toFixed(amount < 10 ? 2 : 1)} ${unit}`),
    ))));
}
