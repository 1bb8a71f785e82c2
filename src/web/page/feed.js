// A camera's live pictures over a WebSocket: connects, decodes, connects again. While nobody looks at the page the
// connection is closed, so that the box encodes nothing.

import { Again } from "./again.js";
import { liveAddress, status } from "./api.js";

/**
 * Calls `onframe({ time, size, tracks, image })` for each picture, `image` being an `ImageBitmap` that belongs to the
 * callee, and `onstate("connecting" | "live" | "lost")`. Returns what ends it.
 */
export function feed(camera, onframe, onstate) {
    let socket = null;
    let newest = null; // what came while a picture was decoded: only the newest is of interest
    let decoding = false;
    let ended = false;
    const again = new Again(connect);

    function connect() {
        if (ended || document.hidden || socket) return;
        onstate("connecting");
        const mine = (socket = new WebSocket(liveAddress(camera)));
        mine.binaryType = "arraybuffer";
        mine.onmessage = ({ data }) => {
            if (mine !== socket) return;
            again.worked();
            newest = data;
            if (!decoding) decode();
        };
        mine.onclose = () => {
            if (mine !== socket) return;
            socket = null;
            if (ended || document.hidden) return;
            onstate("lost");
            again.failed();
            status().catch(() => {}); // says whether it is the box or only this camera, and whether to log in
        };
    }

    async function decode() {
        decoding = true;
        while (newest && !ended) {
            const message = newest;
            newest = null;
            try {
                const frame = await read(message);
                if (ended) frame.image.close();
                else {
                    onstate("live");
                    onframe(frame);
                }
            } catch (error) {
                console.warn("a live picture that cannot be read:", error);
            }
        }
        decoding = false;
    }

    function close() {
        const old = socket;
        socket = null;
        // One that is not open yet would complain on the console.
        if (old?.readyState === WebSocket.CONNECTING) old.onopen = () => old.close();
        else old?.close();
    }

    const look = () => (document.hidden ? close() : connect());
    document.addEventListener("visibilitychange", look);
    connect();
    return () => {
        ended = true;
        document.removeEventListener("visibilitychange", look);
        again.stop();
        close();
    };
}

/** A message: the length of the JSON (u32, little-endian), the JSON, a JPEG. */
async function read(message) {
    const length = new DataView(message).getUint32(0, true);
    const said = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)));
    const image = await createImageBitmap(new Blob([new Uint8Array(message, 4 + length)], { type: "image/jpeg" }));
    return { ...said, image };
}
