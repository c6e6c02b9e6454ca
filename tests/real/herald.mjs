// What the tests with real clients share: Herald itself, a Bot Connector stand-in, waiting, cleaning up.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const binary = process.env.HERALD_BIN ?? fileURLToPath(new URL('../../target/debug/herald', import.meta.url));

// Whatever a test leaves behind ends with it, also when it fails or is itself stopped.
const running = new Set();
const folders = [];
const endings = [];
after(async () => {
  while (endings.length > 0) await endings.pop()();
});
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

export function temporaryFolder() {
  folders.push(mkdtempSync(join(tmpdir(), 'herald-')));
  return folders.at(-1);
}

/** Asks `fn` until it answers something truthy, which is returned. An error thrown by it means "not yet". */
export async function until(fn, { timeout = 10_000, interval = 50, what = 'the condition' } = {}) {
  const deadline = Date.now() + timeout;
  for (;;) {
    let last;
    try {
      last = await fn();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() >= deadline) throw new Error(`waited ${timeout} ms in vain for ${what} (last: ${last})`, { cause: last });
    await pause(interval);
  }
}

/** Starts a program and waits until its output matches `ready`; the match is returned with it. */
export async function startProgram(command, args, { env = process.env, cwd, ready, timeout = 30_000 }) {
  let [stdout, stderr] = ['', ''];
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  let ended = null;
  const exit = new Promise((resolve) => {
    const end = (how) => {
      running.delete(child);
      resolve((ended ??= how));
    };
    child.on('error', (error) => end({ error }));
    child.on('close', (code, signal) => end({ code, signal }));
  });
  const log = () => `${stdout}\n${stderr}`;
  /** By force, or by another signal: answers how the program ended. */
  const kill = (signal = 'SIGKILL') => {
    child.kill(signal);
    return exit;
  };
  const signal = (name) => child.kill(name);
  const stop = async () => {
    if (ended) return ended;
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
    return kill('SIGTERM').finally(() => clearTimeout(timer));
  };
  endings.push(() => kill());

  const match = await until(() => ready.exec(stdout) ?? ended, { timeout, what: `${command} ${args.join(' ')} being ready` })
    .catch((error) => ({ error }));
  if (!Array.isArray(match)) throw new Error(`${command} did not start: ${match.error ?? JSON.stringify(match)}\n${log()}`);
  return { match, stop, kill, signal, log, exit };
}

/** Nothing of this machine's settings. */
function surroundings(cwd, env) {
  const foreign = /^(HERALD_|MicrosoftApp|COSMOS_|AZURE_|AzureWebJobs|FUNCTIONS_|IDENTITY_|RUST_LOG)/i;
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
  return { cwd, env: { ...inherited, HERALD_LISTEN: '127.0.0.1:0', HERALD_DATA_DIR: env.HERALD_DATA_DIR ?? temporaryFolder(), ...env } };
}

/** A command of Herald's that ends by itself; answers its exit code and what it said. */
export async function runHerald(args, env = {}) {
  const { exit, log } = await startProgram(binary, args, { ...surroundings(temporaryFolder(), env), ready: /^/ });
  const { code } = await exit;
  return { code, log: log() };
}

/** Herald with nothing of this machine's settings; HERALD_DATA_DIR may be given, to start again on the same store. */
export async function startHerald({ args = ['serve'], env = {}, cwd = temporaryFolder() } = {}) {
  const { match, ...program } = await startProgram(binary, args, { ...surroundings(cwd, env), ready: /listening on (http:\/\/\S+)/ });
  const url = match[1].replace(/\/$/, '');
  /** GET, or POST when there is a body: answers the JSON of a success. */
  const api = async (path, body, headers = {}) => {
    const post = body && { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
    const answer = await fetch(url + path, post ?? { headers });
    const text = await answer.text();
    assert.equal(answer.status, post ? 202 : 200, `${path} answered ${answer.status}: ${text}`);
    return JSON.parse(text);
  };
  return { url, api, ...program };
}

/** On a store that takes its time Herald answers 503 until it has it. */
export const healthy = ({ url }) => until(async () => (await fetch(`${url}/api/health`)).ok, { timeout: 30_000, what: 'Herald being healthy' });

/**
 * The Bot Connector as far as a send needs it. `received` holds every request in order, with the decoded
 * conversation id; `behave(fn)` lets a test answer `{status, headers, body}` itself, or never (by never resolving).
 */
export async function startConnector() {
  const received = [];
  let behaviour = () => undefined;
  const serve = async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const { method, url: path, headers } = request;
    const [, conversation, activities, replyTo] = /\/v3\/conversations\/([^/?]+)(\/activities(?:\/([^/?]+))?)?/.exec(path) ?? [];
    const entry = {
      method, path, headers, body,
      conversationId: conversation && decodeURIComponent(conversation),
      activityId: replyTo && decodeURIComponent(replyTo),
      activity: headers['content-type']?.includes('json') && body ? JSON.parse(body) : undefined,
      at: Date.now(),
    };
    received.push(entry);
    const known = method === 'POST' && activities;
    const usual = known ? { status: 201, body: { id: `activity-${received.length}` } } : { status: 404, body: { error: { code: 'NotFound' } } };
    const answer = (await behaviour(entry)) ?? usual;
    entry.answer = answer;
    const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {});
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers }).end(text);
  };
  // A sender that is killed in the middle of a request is no fault of the test's.
  const server = createServer((request, response) =>
    serve(request, response).catch((error) => response.headersSent || response.writeHead(500).end(String(error))),
  );
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  endings.push(stop);
  return { url: `http://127.0.0.1:${server.address().port}`, received, behave: (fn) => (behaviour = fn), stop };
}
