// The stand-in host's triggers: queues with their retries, routes with their keys, functions that are in error.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../herald.mjs';
import { ask, FUNCTIONS, KEYS, recordedBy } from './fixtures.mjs';
import { json, master, QUICK, reply, ruleScene } from './rules.mjs';

describe('triggers of the stand-in host', { concurrency: false }, () => {
  let scene;
  before(async () => {
    scene = await ruleScene();
  });
  after(() => scene?.stop());

  test('a failing message is tried maxDequeueCount times and ends in the poison queue as it was; outputs reach their queues', async () => {
    const host = await scene.start();
    const [deliveries, poison] = ['herald-deliveries', 'herald-deliveries-poison'].map(scene.azurite.queue);
    await deliveries.create();
    const text = Buffer.from(reply('{}', { status: 503 })).toString('base64');
    await deliveries.put(text);
    assert.deepEqual(await until(async () => (await poison.texts()).length && poison.texts(), { what: 'a poison message' }), [text]);
    const tries = host.invocations.map(({ dequeueCount, outcome }) => [dequeueCount, outcome]);
    assert.deepEqual(tries, [
      [1, 'failed'],
      [2, 'failed'],
      [3, 'failed'],
    ]);
    await deliveries.put('*not base64*');
    await until(async () => (await poison.texts()).includes('*not base64*'), { what: 'text that is not base64 being poison' });
    assert.equal(host.invocations.length, 3, 'it is not even tried');
    await deliveries.put(Buffer.from(reply('{"Outputs":{"notifications":["one","two"],"unknown":["x"]}}')).toString('base64'));
    const ran = () => host.invocations.filter(({ name, outcome }) => name === 'RunNotification' && outcome).map((run) => run.text);
    await until(() => ran().length === 2, { what: 'both outputs' });
    assert.deepEqual(ran().sort(), ['one', 'two'], 'an unknown binding is dropped');
  });

  test('batchSize and newBatchThreshold bound what runs at once', async () => {
    const host = await scene.start({ extensions: { queues: { maxPollingInterval: '00:00:00.1', batchSize: 2, newBatchThreshold: 1 } } });
    const queue = scene.azurite.queue('herald-deliveries');
    await Promise.all(Array.from({ length: 8 }, () => queue.put(Buffer.from('{"wait":150}').toString('base64'))));
    let most = 0;
    await until(
      async () => {
        most = Math.max(most, host.invocations.filter(({ outcome }) => !outcome).length);
        return host.invocations.filter(({ outcome }) => outcome === 'succeeded').length === 8;
      },
      { what: 'eight messages', interval: 10 },
    );
    assert.ok(most >= 2 && most <= 3, `${most} at once`);
  });

  test('routes, methods, keys and the admin API', async () => {
    const host = await scene.start();
    const status = async (method, path, more) => (await ask(host.url + path, { method, ...more })).status;
    const key = { headers: { 'x-functions-key': KEYS.function } };
    for (const [expected, method, path, more] of [
      [200, 'GET', '/api/health'],
      [404, 'POST', '/api/health'],
      [404, 'GET', '/api/messages'],
      [404, 'GET', '/api/unknown'],
      [404, 'GET', '/other'],
      [401, 'GET', '/api/users'],
      [401, 'GET', '/api/users', { headers: { 'x-functions-key': 'wrong' } }],
      [200, 'GET', '/api/users', key],
      [200, 'GET', '/API/Users/x/', key],
      [404, 'GET', '/api/users/x/y', key],
      [200, 'GET', `/api/users?code=${KEYS.master}`],
      [401, 'GET', `/api/users?code=${KEYS.function}`, { headers: { 'x-functions-key': 'wrong' } }],
      [200, 'DELETE', '/api/notifications/x', key],
      [401, 'GET', '/admin/host/status'],
      [200, 'GET', '/admin/host/status', { headers: master }],
      [200, 'GET', '/'],
      [404, 'POST', '/admin/functions/None', { headers: master, body: '{}' }],
      [400, 'POST', '/admin/functions/Tick', { headers: master, body: '{"input":1}' }],
      [415, 'POST', '/admin/functions/Tick', { headers: { 'x-functions-key': KEYS.master } }],
      [202, 'POST', '/admin/functions/Tick', { headers: master, body: '{}' }],
    ])
      assert.equal(await status(method, path, more), expected, `${method} ${path}`);
    const chunked = await ask(`${host.url}/api/messages`, { method: 'POST', headers: json, chunks: ['{"reply":', '{"status":418}}'] });
    assert.equal(chunked.status, 418, 'what comes chunked to a function that is passed through arrives');
    await ask(`${host.url}/api/users/a%2fb`, key);
    assert.ok(
      recordedBy(scene.folder).some(({ target }) => target === '/api/users/a%252fb'),
      'an encoded slash arrives encoded twice',
    );
  });

  test('functions in error leave the others running', async () => {
    const timer = (schedule) => [{ type: 'timerTrigger', direction: 'in', name: 'timer', schedule }];
    const odd = {
      ...FUNCTIONS,
      Late: timer('%ABSENT%'),
      '2nd': timer('* * * * * *'),
      Blob: [{ type: 'blobTrigger', direction: 'in', name: 'b' }],
      Again: FUNCTIONS.Health,
    };
    const host = await scene.start(QUICK, odd, {
      'AzureWebJobs.Users.Disabled': 'true',
      AzureFunctionsJobHost__extensions__Queues__BatchSize: '5',
    });
    assert.deepEqual(Object.keys(host.errors).sort(), ['2nd', 'Blob', 'Health', 'Late']);
    assert.ok(!host.functions.some(({ name }) => name === 'Users'), 'a disabled function is left out');
    assert.equal(host.settings.queues.batchSize, 5, 'the environment overrides host.json');
    assert.equal((await ask(`${host.url}/api/health`)).status, 200);
  });
});
