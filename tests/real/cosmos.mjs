// A Cosmos DB account on this machine: the emulator that Microsoft's Rust SDK keeps in memory, behind a port.
//
// What it lacks, and no test here claims: it checks no key or token, documents never fade by their `ttl`, nothing is
// kept when it ends, and its request units are a model.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { runHerald, startProgram } from './herald.mjs';

const binary = process.env.COSMOS_EMULATOR_BIN ?? fileURLToPath(new URL('../../target/debug/examples/cosmos_emulator', import.meta.url));
/** Base64, as a key must be; nobody looks at it. */
export const KEY = 'bm90IGEgc2VjcmV0';
export const DATABASE = 'herald';

/** The emulator, and Herald's settings for it; empty until it is laid out. `throughput`: request units a second per container. */
export async function startEmulator({ port = 0, throughput } = {}) {
  const args = ['--port', `${port}`, ...(throughput ? ['--throughput', `${throughput}`] : [])];
  const { match, kill, signal, log } = await startProgram(binary, args, { ready: /listening on (\S+)\/\s/ });
  const endpoint = match[1];
  return {
    endpoint,
    env: settings(endpoint),
    /** It takes connections and answers nothing, as a service does whose network is gone; what it holds stays. */
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    kill,
    log,
  };
}

export const settings = (endpoint) => ({ HERALD_STORE: 'cosmos', COSMOS_ENDPOINT: endpoint, COSMOS_KEY: KEY, COSMOS_DATABASE: DATABASE });

/** `herald store init`, as an operator does it. */
export async function layOut(env) {
  const { code, log } = await runHerald(['store', 'init'], env);
  assert.equal(code, 0, `herald store init ended with ${code}:\n${log}`);
}

/** An account that is laid out. */
export async function startCosmos(options) {
  const cosmos = await startEmulator(options);
  await layOut(cosmos.env);
  return cosmos;
}
