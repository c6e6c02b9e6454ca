// What the tests of the stand-in host share: an app folder with the recording handler, and the requests of a real host.
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { request as send } from 'node:http';
import { join } from 'node:path';
import { temporaryFolder } from '../herald.mjs';

export const KEYS = { function: 'the-function-key', master: 'the-master-key' };
const http = (methods, route, authLevel) => ({ type: 'httpTrigger', direction: 'in', name: 'req', methods, route, authLevel });
const res = { type: 'http', direction: 'out', name: 'res' };
const queue = (name) => ({ type: 'queue', direction: 'out', name, queueName: `herald-${name}` });
const fromQueue = (queueName) => ({ type: 'queueTrigger', direction: 'in', name: 'message', queueName });

/** The functions of the app whose requests are on record. */
export const FUNCTIONS = {
  Messages: [http(['post'], 'messages', 'anonymous'), res],
  CreateNotification: [http(['post'], 'notifications', 'function'), res, queue('notifications')],
  Notifications: [http(['get', 'delete'], 'notifications/{id?}', 'function'), res],
  Users: [http(['get'], 'users/{id?}', 'function'), res],
  Health: [http(['get'], 'health', 'anonymous'), res],
  RunNotification: [fromQueue('herald-notifications'), queue('notifications'), queue('deliveries')],
  DeliverBatch: [fromQueue('herald-deliveries'), queue('notifications')],
  Tick: [{ type: 'timerTrigger', direction: 'in', name: 'timer', schedule: '%HERALD_SCHEDULE%' }, queue('notifications')],
};

/** An app folder with these functions; `hostJson` is laid over a quick host.json. Answers the folder. */
export function appFolder(functions = FUNCTIONS, hostJson = {}) {
  const folder = temporaryFolder();
  for (const [name, bindings] of Object.entries(functions)) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'function.json'), JSON.stringify({ bindings }));
  }
  writeFileSync(
    join(folder, 'host.json'),
    JSON.stringify({
      version: '2.0',
      customHandler: {
        description: { defaultExecutablePath: 'node', arguments: ['handler.mjs', '%WORD%'] },
        enableProxyingHttpRequest: true,
      },
      extensions: { queues: { maxPollingInterval: '00:00:00.2', batchSize: 4, newBatchThreshold: 2 } },
      ...hostJson,
    }),
  );
  copyFileSync(new URL('recording-handler.mjs', import.meta.url), join(folder, 'handler.mjs'));
  return folder;
}

/** What the recording handler of a folder wrote down so far. */
export function recordedBy(folder) {
  if (!readdirSync(folder).includes('recorded.ndjson')) return [];
  return readFileSync(join(folder, 'recorded.ndjson'), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

const fixture = (name) => JSON.parse(readFileSync(new URL(`../../fixtures/host/${name}.json`, import.meta.url), 'utf8'));

/** A request of a real host, ready to be compared. */
export const recorded = (name) => comparable(fixture(name));

/** A request without what differs each time: ids, times, ports, receipts. Order is kept, of headers and of JSON. */
export function comparable({ method, target, headers, body }) {
  const plain = (text) =>
    text
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<guid>')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+/g, '<instant>')
      .replace(/(Time":"|Next":")(?!9999)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/g, '$1<second>')
      .replace(/(PopReceipt":"\\")[^"\\]+/g, '$1<receipt>')
      .replace(/127\.0\.0\.1:\d+/g, '<address>');
  return { method, target, headers: headers.map(([name, value]) => [name, plain(value)]), body: plain(body) };
}

/** An HTTP request with exactly these headers; `chunks` are sent chunked, `body` with a length. */
export function ask(url, { method = 'GET', headers = {}, body, chunks } = {}) {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) };
    const request = send(url, {
      method,
      agent: false,
      headers: { ...headers, ...length, ...(chunks ? { 'Transfer-Encoding': 'chunked' } : {}) },
    });
    request.removeHeader('connection');
    if (body === undefined) request.removeHeader('content-length'); // else a POST without a body says 0
    if (body === undefined && !chunks) request.removeHeader('transfer-encoding');
    request.on('error', reject);
    request.on('response', async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve({ status: response.statusCode, headers: response.headers, text });
    });
    chunks?.forEach((chunk) => request.write(chunk));
    request.end(body);
  });
}
