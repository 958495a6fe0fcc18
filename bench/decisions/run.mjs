// Runs a WASI program in V8: node [flags] run.mjs MODULE DIRECTORY ARGUMENT...; the directory is the program's `/`.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [path, directory, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: ["decisions", ...args], preopens: { "/": directory } });
const module = new WebAssembly.Module(readFileSync(path));
// The filter's own code is in the program too. It asks Envoy for functions, and nothing here calls them.
const envoy = WebAssembly.Module.imports(module).filter((one) => one.module === "env");
const absent = () => {
  throw new Error("Envoy is not here");
};
const env = Object.fromEntries(envoy.map((one) => [one.name, absent]));
const { exports } = new WebAssembly.Instance(module, { ...wasi.getImportObject(), env });
// The filter's own `_initialize` stays out: this is a program, and it has its `_start`.
process.exitCode = wasi.start({ exports: { memory: exports.memory, _start: exports._start } });
