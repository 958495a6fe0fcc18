// How much memory a worker's VM has after it has taken a configuration with an inline bundle of many rules: the real module, set up in
// V8 as Envoy does, with a host that gives it its configuration and nothing else.
//
//   node --no-liftoff bench/inline.mjs target/wasm32-wasip1/release/rerank_guard.wasm [rules…]

import {generateKeyPairSync} from "node:crypto";
import {readFileSync} from "node:fs";

const [wasm, ...counts] = process.argv.slice(2);
const approver = generateKeyPairSync("ed25519").publicKey.export({format: "jwk"});
const module = new WebAssembly.Module(readFileSync(wasm));
for (const rules of counts.length ? counts.map(Number) : [1, 1_000, 10_000]) {
  const {start, grown, text, took} = configured(rules);
  console.log(`${rules.toLocaleString("en").padStart(7)} rules, ${MiB(text)} MiB of JSON: ${MiB(start)} MiB at the start, ${MiB(grown)} more once configured (${took} ms)`);
}

function MiB(bytes) {
  return (bytes / (1 << 20)).toFixed(2).padStart(6);
}

function configured(rules) {
  const text = Buffer.from(JSON.stringify(configuration(rules)));
  let instance;
  const memory = () => instance.exports.memory.buffer;
  const give = (bytes, pointer, size) => {
    const at = instance.exports.proxy_on_memory_allocate?.(bytes.length) ?? instance.exports.malloc(bytes.length);
    new Uint8Array(memory(), at, bytes.length).set(bytes);
    new DataView(memory()).setUint32(pointer, at, true);
    new DataView(memory()).setUint32(size, bytes.length, true);
    return 0;
  };
  const host = {
    // The plugin's configuration is buffer 7.
    proxy_get_buffer_bytes: (kind, start, _most, pointer, size) => kind === 7 && start === 0 ? give(text, pointer, size) : 1,
    proxy_log: (level, at, size) => {
      if (level >= 3) console.error(Buffer.from(memory(), at, size).toString());
      return 0;
    },
    proxy_get_current_time_nanoseconds: (at) => {
      new DataView(memory()).setBigUint64(at, 1_800_000_000_000_000_000n, true);
      return 0;
    },
    proxy_set_tick_period_milliseconds: () => 0,
    proxy_define_metric: (_kind, _at, _size, id) => {
      new DataView(memory()).setUint32(id, 1, true);
      return 0;
    },
    proxy_set_effective_context: () => 0,
    proxy_increment_metric: () => 0,
    // What there is not is not found.
    otherwise: () => 1,
  };
  const environment = Buffer.from("SECRET=a-secret-that-is-none\0");
  const wasi = {
    environ_sizes_get: (count, size) => {
      new DataView(memory()).setUint32(count, 1, true);
      new DataView(memory()).setUint32(size, environment.length, true);
      return 0;
    },
    environ_get: (pointers, at) => {
      new DataView(memory()).setUint32(pointers, at, true);
      new Uint8Array(memory(), at, environment.length).set(environment);
      return 0;
    },
    random_get: (at, size) => {
      crypto.getRandomValues(new Uint8Array(memory(), at, size));
      return 0;
    },
    clock_time_get: (_clock, _precision, at) => {
      new DataView(memory()).setBigUint64(at, 1_800_000_000_000_000_000n, true);
      return 0;
    },
    otherwise: () => 0,
  };
  const imports = {};
  for (const {module: from, name} of WebAssembly.Module.imports(module)) {
    const functions = from === "env" ? host : wasi;
    (imports[from] ??= {})[name] = functions[name] ?? functions.otherwise;
  }
  instance = new WebAssembly.Instance(module, imports);
  instance.exports._initialize?.();
  instance.exports._start?.();
  instance.exports.proxy_on_context_create(1, 0);
  const start = memory().byteLength;
  if (!instance.exports.proxy_on_vm_start(1, 0)) throw new Error("the module does not start");
  const before = Date.now();
  if (!instance.exports.proxy_on_configure(1, text.length)) throw new Error("the module refuses the configuration");
  return {start, grown: memory().byteLength - start, text: text.length, took: Date.now() - before};
}

// Rules as in bench/decisions/src/world.rs: each about one of 1,000 groups, of 20 models and of 500 datasets.
function configuration(count) {
  let seed = 1;
  const below = (most) => (seed = (seed * 48_271) % 2_147_483_647) % most;
  const rule = (number) => {
    const selectors = {groups: [`g${below(1_000)}`], models: [`model-${below(20)}`], datasets: [`set-${below(500)}${below(10) ? "" : "*"}`], operations: ["rerank"]};
    const kind = below(10);
    if (kind === 0) return {id: `r${number}`, deny: selectors};
    if (kind < 3) return {id: `r${number}`, guard: selectors, risk: 10, require: {masks: ["pii"], approval: "desk", when_risk_at_least: 20}};
    return {id: `r${number}`, allow: selectors, use: "only", limits: {documents: 100}};
  };
  const named = (most, entry) => Object.fromEntries(Array.from({length: most}, (_, number) => entry(number)));
  const inline = {
    schema: "rerank-guard/v1", bundle: {id: "bench", serial: 1}, groups: named(1_000, (number) => [`g${number}`, [`grp-${number}`]]),
    datasets: named(500, (number) => [`set-${number}`, {}]), credentials: {only: {}}, masks: {pii: {detect: ["email"]}},
    approvals: {desk: {groups: ["leads"], min: 1, ttl: "10m"}},
    rules: [...Array.from({length: count}, (_, number) => rule(number)), {id: "risky", guard: {}, risk: 20},
      {id: "last", allow: {groups: ["g0"], models: ["*"], datasets: ["set-0"], operations: ["rerank"]}, use: "only"}],
  };
  return {
    gateway: "bench", bundle: {inline},
    callers: {issuers: [{issuer: "https://idp.example", audiences: ["rg"], keys: {jwks: {cluster: "idp", authority: "idp.example", path: "/jwks.json"}}}]},
    routes: [{path: "/{dataset}/v2/rerank", dialect: "cohere-v2", clusters: ["only"], host: "rerank.example", dataset: {segment: "dataset"}, credentials: ["only"]}],
    approver: {cluster: "approver", authority: "approver.example", issuer: "https://approver.example", key: {...approver, kid: "a"}},
    credentials: {only: {env: "SECRET"}},
  };
}
