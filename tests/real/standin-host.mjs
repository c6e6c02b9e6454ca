// A stand-in for the Azure Functions host: it runs a folder with host.json and function folders as the real one does,
// with a real queue service behind it. Test code. Not here: forwarding (the way before proxying), retry policies, blob state
// of timers, identity connections, a graceful stop.
import { resolve } from 'node:path';
import { discover, hostSettings, readHostJson, withLocalSettings } from './standin-host/config.mjs';
import { httpEnvelope, queueEnvelope, timerEnvelope } from './standin-host/envelope.mjs';
import { listen } from './standin-host/http.mjs';
import { Invocations } from './standin-host/invocations.mjs';
import { HOST_VERSION, invoke, underTimeout } from './standin-host/invoke.mjs';
import { httpAnswer } from './standin-host/outputs.mjs';
import { Handler } from './standin-host/process.mjs';
import { forward, relay } from './standin-host/proxy.mjs';
import { QueueListener } from './standin-host/queue.mjs';
import { startTimer, timerData } from './standin-host/timer.mjs';

/**
 * Starts the host on `scriptRoot`.
 * - `environment`: all that the handler and the settings see; Values of local.settings.json fill the gaps.
 * - `keys`: `{function, master}`. `port`: 0 takes a free one.
 * - `proxying: false`: a host from before proxying, which sends every HTTP function the envelope.
 * - `onInvocation(name, attempt)`: awaited before each request to the handler. When it gives 'discard', the answer is thrown
 *   away and the invocation failed, as if the host had died when the work was done.
 */
export async function startStandinHost(options) {
  const host = new StandinHost(options);
  await host.start(options.port ?? 0);
  return host;
}

class StandinHost {
  state = 'Running';
  /** What the host logged, the handler's output included. */
  lines = [];
  #listeners = [];
  #timers = [];

  constructor({ scriptRoot, environment = process.env, keys = {}, proxying = true, onInvocation = null }) {
    this.scriptRoot = resolve(scriptRoot);
    this.keys = keys;
    const env = withLocalSettings(this.scriptRoot, environment);
    const hostJson = readHostJson(this.scriptRoot, env);
    const settings = hostSettings(hostJson, env);
    settings.proxying &&= proxying;
    const log = (level, text) => this.lines.push(`${new Date().toISOString()} [${level}] ${text}`);
    Object.assign(this, { settings, log, ...discover(this.scriptRoot, hostJson, env) });
    this.record = new Invocations({ settings, log, onInvocation });
    this.handler = new Handler({ settings, scriptRoot: this.scriptRoot, env, log, onEnd: () => this.stop('Error') });
  }

  async start(port) {
    for (const [name, error] of Object.entries(this.errors)) this.log('error', `The '${name}' function is in error: ${error}`);
    this.server = await listen(this, port);
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    if (!this.functions.length) return; // without functions the handler is not started
    await this.handler.start();
    for (const fn of this.functions) {
      if (fn.kind === 'queue') this.#listeners.push(this.#listen(fn));
      if (fn.kind === 'timer') this.#timers.push(startTimer(fn.trigger, (data) => this.#run(fn, timerEnvelope(fn, data), 'timer')));
    }
  }

  #listen(fn) {
    return new QueueListener({
      fn,
      settings: this.settings.queues,
      log: this.log,
      run: (bytes, message) =>
        this.#run(fn, queueEnvelope(fn, bytes, message), 'queue', {
          messageId: message.messageId,
          dequeueCount: message.dequeueCount,
          text: bytes.toString('utf8'),
        }),
    });
  }

  /** Every invocation so far. */
  get invocations() {
    return this.record.all;
  }

  /** No queue function runs, and every queue is polled as seldom as it ever will be. */
  get idle() {
    return this.#listeners.every((listener) => listener.idle);
  }

  #run(fn, envelope, trigger, more) {
    const record = this.record.begin(fn, trigger, more);
    return this.record.settle(fn, record, () => underTimeout(this.handler, this.settings, invoke(this.handler, fn, record.id, envelope)));
  }

  /** An HTTP request that found its function and showed its key. */
  async call(fn, { request, response, params, key, body, headers, url }) {
    if (this.settings.proxying && fn.proxied) return this.#pass(fn, { request, response, body, headers });
    request.resume();
    const result = await this.#run(fn, httpEnvelope(fn, { method: request.method, url, headers, params, key, body }), 'http');
    const answer = httpAnswer(result.outputs[fn.outputs.find(({ type }) => type === 'http')?.name]);
    response.writeHead(answer.status, { ...answer.headers, 'Content-Length': Buffer.byteLength(answer.body) });
    return response.end(answer.body);
  }

  async #pass(fn, { request, response, body, headers }) {
    const { handler } = this;
    const record = this.record.begin(fn, 'proxied');
    const caller = new AbortController();
    response.on('close', () => caller.abort());
    await this.record.settle(fn, record, async () => {
      try {
        await underTimeout(handler, this.settings, handler.ready);
        const { id } = record;
        const answer = await forward({
          handler,
          request,
          headers,
          body,
          id,
          forwardedFor: request.socket.remoteAddress,
          signal: caller.signal,
        });
        record.status = answer.statusCode;
        await relay(answer, response);
      } catch (error) {
        if (!caller.signal.aborted) throw error; // a caller that went away is nobody's failure
      }
    });
  }

  /** Fired through the admin API: nobody waits for it, and HTTP functions are not run this way. */
  admin(fn, input) {
    if (fn.kind === 'http') return;
    const timer = () => timerEnvelope(fn, timerData({ ...fn.trigger, useMonitor: false }), input);
    this.#run(fn, fn.kind === 'timer' ? timer() : queueEnvelope(fn, Buffer.from(input)), 'admin', { text: input }).catch(() => {});
  }

  status() {
    const errors = Object.entries(this.errors).map(([name, error]) => `The '${name}' function is in error: ${error}`);
    return { id: 'standin', state: this.state, version: HOST_VERSION, versionDetails: HOST_VERSION, instanceId: 'standin', errors };
  }

  /** Ends at once: the handler gets SIGKILL and no word before. */
  async stop(state = 'Stopped') {
    if (this.state !== 'Running') return;
    this.state = state;
    this.#listeners.forEach((listener) => listener.stop());
    this.#timers.forEach((stop) => stop());
    await this.handler.stop();
    const closed = new Promise((done) => this.server.close(done));
    this.server.closeAllConnections();
    await closed;
  }
}
