// Masking at every kind there is, in V8 as Envoy's host sets it up: node --no-liftoff bench/mask.mjs target/wasm32-wasip1/release/examples/mask_speed.wasm
// With bench/patterns/target/wasm32-wasip1/release/patterns.wasm behind it, operators' own patterns too, beside other engines.
//
// Three texts, each as a rerank answer of 1 KB to 16 MB: prose with a finding every 4 KB or so, logs full of ids and times, and
// records of which most is a finding. Where ../shared has the corpora, three more: sparse logs, labelled texts, and letters that are
// dense with findings.
// Numbers are printed, never asserted.
import { readFileSync, writeFileSync, openSync, closeSync, mkdtempSync, rmSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WASI } from "node:wasi";

const [path, patterns, only] = process.argv.slice(2);
const load = (path) => WebAssembly.compile(readFileSync(path));
const module = await load(path);
// The filter's shell is linked along and never called.
const uncalled = () => {
  throw new Error("a host function of Envoy's was called");
};
const envoy = (module) =>
  Object.fromEntries(WebAssembly.Module.imports(module).filter((one) => one.module === "env").map((one) => [one.name, uncalled]));
const sizes = { "1 KB": 1e3, "10 KB": 1e4, "100 KB": 1e5, "1 MB": 1e6, "16 MB": 16e6 };
const scratch = mkdtempSync(join(tmpdir(), "rerank-guard-bench-"));

// The same sequence in every run.
let state = 7;
const random = (below) => ((state = (state * 1103515245 + 12345) % 2147483648), Math.floor((state / 2147483648) * below));
const pick = (list) => list[random(list.length)];
const digits = (count) => Array.from({ length: count }, () => random(10)).join("");

const words =
  "the a of and to in is was for that on as with by it from at his her an were are which this be has had one their not but its also into been most other more than some two time first when after during only many over these such may between made state city known used world school part new years where against both there each since them under while number through about people".split(" ");
const sentence = () => `${Array.from({ length: 8 + random(12) }, () => pick(words)).join(" ")}.`;
const hex = (count) => Array.from({ length: count }, () => "0123456789abcdef"[random(16)]).join("");
const texts = {
  prose: () => {
    const text = Array.from({ length: 6 }, sentence).join(" ");
    return random(10) === 0 ? `${text} Write to ann.lee${random(99)}@example.org.` : text;
  },
  logs: () =>
    `2026-0${1 + random(9)}-1${random(9)}T0${random(9)}:${10 + random(49)}:00.${digits(3)}Z INFO request=${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)} user=u${digits(6)} took ${random(900)} ms status=200 sku=AB-${digits(5)} hash=${hex(40)}`,
  dense: () =>
    `${pick(["Ann", "Bob", "Eve"])} <${pick(["ann", "bob"])}${random(999)}@example.org>, +49 30 ${digits(7)}, card 4111 1111 1111 1111, SSN 219-45-${1000 + random(8999)}, ${10 + random(89)}.${random(255)}.${random(255)}.9, IBAN DE89 3704 0044 0532 0130 00, paid on 2026-03-0${1 + random(8)}.`,
};

function body(text, size) {
  const results = [];
  let length = 30;
  for (let index = 0; length < size; index++) {
    const result = { index, relevance_score: 0.5 + random(1000) / 7001, document: { id: `doc-${index}`, text: text() } };
    length += JSON.stringify(result).length + 1;
    results.push(result);
  }
  return JSON.stringify({ id: "bench", results, meta: { billed_units: { search_units: 1 } } });
}

function run(module, args, bytes) {
  const file = join(scratch, "body");
  writeFileSync(file, bytes);
  const [stdin, stdout] = [openSync(file, "r"), openSync(`${file}.out`, "w")];
  const wasi = new WASI({ version: "preview1", args, stdin, stdout, returnOnExit: true });
  // Node 20 aborts after some thousand reads that WebAssembly makes without JavaScript in between.
  const calls = Object.fromEntries(Object.entries(wasi.wasiImport).map(([name, call]) => [name, (...given) => call(...given)]));
  const { memory, _start } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: calls, env: envoy(module) }).exports;
  wasi.start({ exports: { memory, _start } });
  closeSync(stdin);
  closeSync(stdout);
  return JSON.parse(readFileSync(`${file}.out`, "utf8"));
}

const shared = join(process.env.RERANK_GUARD_SHARED ?? "../shared", "data", "pii");
const given = {};
if (existsSync(shared)) {
  const take = (list) => {
    let next = 0;
    return () => list[next++ % list.length];
  };
  given["corpus: sparse logs"] = take(readFileSync(join(shared, "datafog_payloads", "core_100kb_sparse.txt"), "utf8").match(/(.*\n){1,10}/g));
  given["corpus: dense"] = take([readFileSync(join(shared, "datafog_payloads", "core_1kb_dense.txt"), "utf8")]);
  given["corpus: labelled"] = take(JSON.parse(readFileSync(join(shared, "presidio_research_generated_large.json"), "utf8")).map((one) => one.full_text));
} else {
  console.log("skipped: the corpora, which are not in ../shared");
}
console.log(`${"text".padEnd(22)}${"answer".padStart(8)}${"MB/s".padStart(8)}${"best".padStart(8)}${"findings/KB".padStart(13)}${"peak/body".padStart(11)}`);
for (const [name, text] of Object.entries({ ...texts, ...given })) {
  if (only && !name.includes(only)) continue;
  for (const [label, size] of Object.entries(sizes)) {
    const bytes = Buffer.from(body(text, size));
    const told = run(module, ["mask_speed", String(bytes.length)], bytes);
    const rate = (ns) => ((told.bytes / ns) * 1e3).toFixed(0);
    const figures = [rate(told.median_ns), rate(told.best_ns), (told.found / (told.bytes / 1e3)).toFixed(1), (told.peak_bytes / told.bytes).toFixed(1)];
    console.log(`${name.padEnd(22)}${label.padStart(8)}${figures[0].padStart(8)}${figures[1].padStart(8)}${figures[2].padStart(13)}${figures[3].padStart(11)}`);
  }
}
// Texts that somebody wrote to be slow: short pieces, repeated. Those that were the worst once, and the worst that a search finds, which
// changes the slowest it has a character at a time.
if (!only || only === "hostile") {
  const alphabets = ["0123456789", "0123456789 -./", "01234 .,:@+()", "123 abf:", "14:@.-_%", "ab19AZ @:.-_/+=%#<>[]", "éß日 12@:"];
  const letter = (alphabet) => pick([...alphabet]);
  const unit = () => {
    const alphabet = pick(alphabets);
    return Array.from({ length: 1 + random(8) }, () => letter(alphabet)).join("");
  };
  const speed = (units, size) => run(module, ["mask_speed", "units", String(size)], Buffer.from(JSON.stringify(units))).map((one) => [one.unit, (one.bytes / one.ns) * 1e3]);
  const slowest = (list, count) => [...new Map(list)].sort((one, other) => one[1] - other[1]).slice(0, count);
  const known = ["12 30", "2 301", " 4150", "3041 ", ":", "4111 ", "12/12/", "1:f:", "41 11 ", "12.", "1.1.1.1 ", "1 ", "1-", "123456789 ", "12 345 ", "aa:bb:cc:", ".3012", "%40", "a@b.de+", "219-45-6789-", "DE89", "]1 "];
  const small = 1 << 15;
  let worst = slowest(speed([...known, ...Array.from({ length: 1500 }, unit)], small), 40);
  for (let round = 0; round < 8; round++) {
    const changed = worst.flatMap(([text]) =>
      Array.from({ length: 8 }, () => {
        const letters = [...text];
        const [at, other] = [random(letters.length), letter(pick(alphabets))];
        letters.splice(at, random(2), ...(random(3) ? [other] : []));
        return letters.join("").slice(0, 12);
      }).filter((text) => text),
    );
    worst = slowest([...worst, ...speed(changed, small)], 40);
  }
  const table = slowest(speed([...known, ...worst.slice(0, 12).map(([text]) => text)], 1e6), 16);
  console.log(`\n${"hostile texts, 1 MB".padEnd(22)}${"best MB/s".padStart(10)}`);
  for (const [text, rate] of table) console.log(`${JSON.stringify(text).padEnd(22)}${rate.toFixed(1).padStart(10)}`);
}
// Four patterns of an operator's own, over 100 KB of the same texts, in which some of them match.
if (patterns) {
  const own = () => pick([`EMP-${digits(6)}`, `matter no. ${digits(6)}`, `AB${digits(4)}-${digits(3)}`, `db${digits(2)}.corp.example`]);
  const engines = await load(patterns);
  console.log(`\n${"own patterns, 100 KB".padEnd(22)}${["ours", "dense DFA", "regex", "regex-lite"].map((one) => `${one} MB/s`.padStart(17)).join("")}${"found".padStart(8)}`);
  for (const [name, text] of Object.entries({ ...texts, ...given })) {
    let whole = "";
    while (whole.length < 1e5) whole += `${text()}${random(12) === 0 ? ` ${own()}` : ""}\n`;
    const told = ["ours", "dense DFA", "regex", "regex-lite"].map((engine) => run(engines, ["patterns", engine], Buffer.from(whole)));
    if (new Set(told.map((one) => one.found)).size > 1) throw new Error(`engines disagree on ${name}: ${told.map((one) => one.found)}`);
    console.log(`${name.padEnd(22)}${told.map((one) => ((one.bytes / one.median_ns) * 1e3).toFixed(1).padStart(17)).join("")}${String(told[0].found).padStart(8)}`);
  }
  const load_ms = ["ours", "dense DFA", "regex", "regex-lite"].map((engine) => (run(engines, ["patterns", engine], Buffer.from("x")).load_us / 1e3).toFixed(1).padStart(17));
  console.log(`${"ms to load them".padEnd(22)}${load_ms.join("")}`);
}
rmSync(scratch, { recursive: true });
