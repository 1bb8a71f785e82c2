// Numbers and times as people read them, in the reader's own time zone.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", year: "numeric" });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const time = (text) => clock.format(new Date(text));
export const date = (text) => day.format(new Date(text));
export const count = (number) => (Number.isFinite(number) ? whole.format(number).replaceAll(",", "\u2009") : "–");
export const fixed = (number, digits = 1) => (Number.isFinite(number) ? number.toFixed(digits) : "–");
export const score = (number) => fixed(number, 2);

/** Seconds as `4.2 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`. */
export function span(seconds) {
    if (!Number.isFinite(seconds)) return "–";
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    const parts = [[Math.floor(seconds / 86400), "d"], [Math.floor(seconds / 3600) % 24, "h"], [Math.floor(seconds / 60) % 60, "min"], [Math.floor(seconds) % 60, "s"]];
    const first = parts.findIndex(([number]) => number > 0);
    return parts.slice(first, first + 2).filter(([number]) => number > 0).map((part) => part.join(" ")).join(" ");
}

/** Bytes as mebibytes. */
export const mebibytes = (bytes) => `${fixed(bytes / 1048576, bytes < 10485760 ? 1 : 0)} MiB`;

/** An action's or a stage's name, for the eye. */
export const plain = (name) => String(name).replaceAll("_", " ");
