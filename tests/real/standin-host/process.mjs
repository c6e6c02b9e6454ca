// The handler's process: how the host starts it, finds it ready, starts it again, and ends it.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import http from 'node:http';
import { createServer } from 'node:net';
import { isAbsolute, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expandPath } from './config.mjs';

const FORGET_ERRORS_AFTER = 30 * 60_000;
const MAX_ERRORS = 3;

/** A TCP port that is free now. */
export async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

export class Handler {
  /** Every process so far: `{pid, startedAt, readyAt, exit}`. */
  starts = [];
  #errors = [];
  #child = null;
  #ended = false;
  #timeoutKill = null;
  #atExit = () => this.#child?.kill('SIGKILL');

  constructor({ settings, scriptRoot, env, log, onEnd }) {
    Object.assign(this, { settings, scriptRoot, env, log, onEnd });
  }

  get pid() {
    return this.#child?.pid;
  }

  /** One port for the life of the host; every process gets it. */
  async start() {
    this.port = await freePort();
    process.on('exit', this.#atExit);
    this.#spawn();
  }

  #spawn() {
    const { description } = this.settings;
    const root = resolve(this.scriptRoot, expandPath(description.workingDirectory ?? '', this.env));
    const wanted = expandPath(description.defaultExecutablePath, this.env);
    const local = isAbsolute(wanted) ? wanted : resolve(root, wanted);
    const id = randomUUID();
    const parameters = [...(description.arguments ?? []), ...(description.workerArguments ?? [])];
    const child = spawn(
      existsSync(local) ? local : wanted,
      parameters.map((text) => expandPath(text, this.env)),
      {
        cwd: root,
        env: {
          ...this.env,
          FUNCTIONS_CUSTOMHANDLER_PORT: String(this.port),
          FUNCTIONS_HTTPWORKER_PORT: String(this.port),
          FUNCTIONS_CUSTOMHANDLER_WORKER_ID: id,
          FUNCTIONS_HTTPWORKER_ID: id,
          FUNCTIONS_APP_ROOT_PATH: this.scriptRoot,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const before = this.starts.at(-1);
    const start = { pid: child.pid, startedAt: Date.now(), readyAt: null, exit: null };
    this.#child = child;
    this.starts.push(start);
    // Who waits for a process that never came up waits for the next one.
    if (this.ready === undefined || before?.readyAt)
      this.ready = new Promise((done) => {
        this.#announce = done;
      });
    createInterface(child.stdout).on('line', (line) => this.log('info', line));
    createInterface(child.stderr).on('line', (line) => this.log(/warn/i.test(line) ? 'warning' : 'error', line));
    // No such file or no right to run it: one line, no second try; whoever waits for readiness goes on waiting.
    child.on('error', (error) => this.log('error', `failed to start the handler: ${error.message}`));
    child.on('exit', (code, signal) => this.#exited(child, start, code, signal));
    this.#poll(child, start);
  }

  #announce = () => {};

  /** Any HTTP answer means ready; only a refused or reset connection means that it is not there yet. */
  async #poll(child, start) {
    const deadline = Date.now() + this.settings.initializationTimeout;
    while (child === this.#child && child.exitCode === null && child.signalCode === null && child.pid) {
      if (await this.#ping()) {
        start.readyAt = Date.now();
        return this.#announce();
      }
      if (Date.now() > deadline) {
        this.log('error', 'Initializing HttpWorker timed out.');
        return this.#restart(child, 'timed out', true);
      }
      await new Promise((done) => setTimeout(done, 25));
    }
  }

  #ping() {
    return new Promise((done) => {
      const request = http.request({ host: '127.0.0.1', port: this.port, path: '/', agent: false }, (response) => {
        response.resume();
        done(true);
      });
      request.removeHeader('connection');
      request.on('error', ({ code, message }) => done(message === 'socket hang up' || !/^E(CONN|PIPE|ADDR|TIMEDOUT)/.test(code)));
      request.end();
    });
  }

  #exited(child, start, code, signal) {
    start.exit = code ?? signal;
    if (child !== this.#child || this.#ended) return;
    if (code === 0) return; // a normal end: no new process and not a word, and calls fail from now on
    if (code !== 200) this.log('error', `the handler ended with ${start.exit}`);
    this.#restart(child, `ended with ${start.exit}`, code !== 200);
  }

  #restart(child, why, counts) {
    if (child !== this.#child || this.#ended) return;
    child.kill('SIGKILL');
    clearTimeout(this.#timeoutKill);
    this.#timeoutKill = null;
    if (counts) {
      const now = Date.now();
      if (now - (this.#errors.at(-1) ?? now) > FORGET_ERRORS_AFTER) this.#errors = [];
      this.#errors.push(now);
      if (this.#errors.length >= MAX_ERRORS) {
        this.log('error', `Exceeded http worker restart retry count (${why}). Shutting down Functions Host`);
        return this.onEnd();
      }
    }
    this.#spawn();
  }

  /** A function ran out of time: two seconds later the whole process goes, and that is no error of the process. */
  killForTimeout() {
    const child = this.#child;
    this.#timeoutKill ??= setTimeout(() => this.#restart(child, 'a function timed out', false), 2000);
  }

  /** The host gives no notice. Resolves when the process is gone. */
  async stop() {
    this.#ended = true;
    clearTimeout(this.#timeoutKill);
    process.off('exit', this.#atExit);
    const child = this.#child;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await gone;
  }
}
