// Does the stand-in host send what a real one sent? Each recorded request is provoked again and compared to the letter.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startStandinHost } from './standin-host.mjs';
import { startAzurite } from './standin-host/azurite.mjs';
import { appFolder, ask, comparable, KEYS, recorded, recordedBy } from './standin-host/fixtures.mjs';
import { timerData } from './standin-host/timer.mjs';
import { until } from './herald.mjs';

const curl = { Host: '127.0.0.1:7071', 'User-Agent': 'curl/7.88.1', Accept: '*/*' };
const key = { ...curl, 'x-functions-key': KEYS.function };
const json = { 'Content-Type': 'application/json' };
const notification =
  '{"id":"build-12","content":{"text":"**Build 12** failed"},"audience":{"all":true},"sendAt":"2026-11-23T09:00:00+01:00"}';
const pointer = '{"notification":"build-12"}';

describe("the stand-in host and a real host's requests", { concurrency: false }, () => {
  let azurite;
  let folder;
  let host;
  const start = (options) =>
    startStandinHost({
      scriptRoot: folder,
      keys: KEYS,
      environment: {
        PATH: process.env.PATH,
        WORD: 'spoken',
        AzureWebJobsStorage: azurite.connectionString,
        HERALD_SCHEDULE: '* * * * * *',
      },
      ...options,
    });
  /** The first request to `target` after `provoke`, made comparable. */
  async function seen(target, provoke) {
    const already = recordedBy(folder).length;
    await provoke();
    return comparable(
      await until(
        () =>
          recordedBy(folder)
            .slice(already)
            .find((entry) => entry.target === target),
        { what: `a request to ${target}` },
      ),
    );
  }
  const same = (actual, name) => assert.deepEqual(actual, recorded(name), `the request differs from ${name}.json`);

  before(async () => {
    azurite = await startAzurite();
    folder = appFolder();
    await Promise.all(['herald-notifications', 'herald-deliveries'].map((name) => azurite.queue(name).create()));
    host = await start();
    await host.handler.ready;
  });
  after(() => host?.stop());

  test('starts the handler with its arguments, folder and environment, and asks once whether it is ready', async () => {
    const [start, ready, ...rest] = recordedBy(folder);
    const { environment } = start;
    assert.deepEqual(start.argv, ['spoken'], 'the argument is expanded');
    assert.equal(start.cwd, folder, 'the working directory is the folder of host.json');
    assert.equal(environment.FUNCTIONS_CUSTOMHANDLER_PORT, String(host.handler.port));
    assert.equal(environment.FUNCTIONS_HTTPWORKER_PORT, String(host.handler.port));
    assert.match(environment.FUNCTIONS_CUSTOMHANDLER_WORKER_ID, /^[0-9a-f-]{36}$/);
    assert.equal(environment.FUNCTIONS_HTTPWORKER_ID, environment.FUNCTIONS_CUSTOMHANDLER_WORKER_ID);
    assert.equal(environment.FUNCTIONS_APP_ROOT_PATH, folder);
    same(comparable(ready), 'ready');
    assert.ok(!rest.some(({ target }) => target === '/'), 'one ping is enough');
  });

  test('functions with one http output are passed through', async () => {
    const bearer = { ...curl, Authorization: 'Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln', 'Content-Type': 'application/json; charset=utf-8' };
    const body = '{"type":"message","text":"hi"}';
    same(await seen('/api/messages', () => ask(`${host.url}/api/messages`, { method: 'POST', headers: bearer, body })), 'proxied-message');
    const get = '/api/notifications/build-12?recipients=skipped';
    same(await seen(get, () => ask(host.url + get, { headers: key })), 'proxied-get');
    const remove = '/api/notifications/build-12?code=the-function-key';
    same(await seen(remove, () => ask(host.url + remove, { method: 'DELETE', headers: curl })), 'proxied-delete');
  });

  test('an http function with a queue output gets the envelope, and a body only with a length', async () => {
    const url = `${host.url}/api/notifications`;
    const post = (suffix, more) =>
      seen('/CreateNotification', () => ask(url + suffix, { method: 'POST', ...more, headers: { ...key, ...more.headers } }));
    same(await post('?dry=1&dry=2', { headers: json, body: notification }), 'http-envelope');
    same(await post('', { headers: json, chunks: [notification] }), 'http-envelope-chunked');
    same(await post('', { headers: json }), 'http-envelope-empty');
  });

  test('queue messages come double-encoded, their properties leaked', async () => {
    const put = (name, text) => () => azurite.queue(name).put(Buffer.from(text).toString('base64'));
    same(await seen('/RunNotification', put('herald-notifications', pointer)), 'queue');
    same(await seen('/DeliverBatch', put('herald-deliveries', '{"notification":"build-12","batch":"0001"}')), 'queue-delivery');
  });

  test('timers and the admin API', async () => {
    same(await seen('/Tick', () => {}), 'timer-fast');
    const headers = { ...json, 'x-functions-key': KEYS.master };
    const fire = (name, input) => ask(`${host.url}/admin/functions/${name}`, { method: 'POST', headers, body: JSON.stringify({ input }) });
    same(await seen('/RunNotification', async () => assert.equal((await fire('RunNotification', pointer)).status, 202)), 'queue-admin');
    await fire('Tick', '');
    const admin = await until(
      () => recordedBy(folder).find(({ target, body }) => target === '/Tick' && body.includes('"Metadata":{"timer"')),
      { what: 'Tick fired by hand' },
    );
    same(comparable(admin), 'timer-admin');
  });

  test('a schedule of a minute or more comes with its status', () => {
    const data = (more) => JSON.stringify(timerData({ schedule: '0 * * * * *' }, more)).replace(/\.(\d{3})0000/g, '.$1');
    const status = (name) => JSON.stringify(JSON.parse(recorded(name).body).Data.timer);
    const plain = (text) => comparable({ method: '', target: '', headers: [], body: text }).body;
    assert.equal(plain(data({ now: new Date('2026-11-22T21:09:10Z') })), status('timer-first'));
    assert.equal(plain(data({ last: new Date('2026-11-22T21:10:00.005Z'), pastDue: true })), status('timer-past-due'));
  });

  test('a host from before proxying sends every http function the envelope', async () => {
    await host.stop();
    host = await start({ proxying: false });
    const old = (name, path, more = {}) => seen(`/${name}`, () => ask(`${host.url}/api${path}`, { headers: key, ...more }));
    same(await old('Health', '/health', { headers: curl }), 'old-health');
    const bearer = { ...curl, Authorization: 'Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln', 'Content-Type': 'application/json; charset=utf-8' };
    same(await old('Messages', '/messages', { method: 'POST', headers: bearer, body: '{"type":"message","text":"hé"}' }), 'old-messages');
    same(await old('Notifications', '/notifications'), 'old-notifications-list');
    same(await old('Notifications', '/notifications/build-12?recipients=skipped&continuation=a%2Fb'), 'old-notifications-get');
    same(
      await old('Notifications', '/notifications/build-12?code=the-function-key', { method: 'DELETE', headers: curl }),
      'old-notifications-delete',
    );
    same(await old('Users', '/users?reachable=false'), 'old-users');
  });
});
