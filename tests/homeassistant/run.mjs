// Runs a Python program on the current CPython, wherever this machine's own is: Home Assistant asks for a newer one than
// Debian has. `node run.mjs SITE PROGRAM [FILE]`: SITE holds Home Assistant, FILE is the program's input.
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [site, program, file] = process.argv.slice(2).map((name) => path.resolve(name));
const beside = createRequire(path.join(site, "..", "node_modules", "x"));
const { loadPyodide } = await import(pathToFileURL(beside.resolve("pyodide/pyodide.mjs")));
const python = await loadPyodide({ env: { HOME: "/" } });
python.FS.mkdirTree("/site");
python.FS.mount(python.FS.filesystems.NODEFS, { root: site }, "/site");
python.FS.writeFile("/input", file ? fs.readFileSync(file, "utf8") : "");
let code = 0;
try {
    await python.runPythonAsync(fs.readFileSync(program, "utf8"));
} catch (error) {
    console.error(error.message);
    code = 1;
}
process.exit(code); // whatever timers are left
