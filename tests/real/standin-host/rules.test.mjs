// The stand-in host's rules: what it takes for an answer, what an output becomes, when it starts the handler again.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../herald.mjs';
import { httpAnswer, queueMessages } from './outputs.mjs';
import { reply, ruleScene } from './rules.mjs';

test('what a value under a queue output becomes', () => {
  const became = (value, binding) => queueMessages(value, binding).map(String);
  const long = 'text: no base64'; // blanks do not count in base64, so prose alone may be valid
  for (const [value, expected] of [
    [
      [long, '{"a":1}', '[1]'],
      [long, '{"a":1}', '[1]'],
    ], // the one form that goes through as it is
    [
      ['2026-11-22T10:00:00Z', '', null],
      ['11/22/2026 10:00:00', '', ''],
    ],
    [[{ a: 1 }], ['{\n  "a": 1\n}']],
    [{ a: 1 }, ['{\n  "a": 1\n}']],
    ['test', [Buffer.from('test', 'base64').toString()]],
    ['', ['']],
    ['{"a":"2026-11-22T11:00:00+01:00"}', ['{\n  "a": "2026-11-22T10:00:00+00:00"\n}']],
    ['["a",{"b":1}]', ['a', '{\n  "b": 1\n}']],
    [long, [long]],
    [null, []],
    [undefined, []],
  ])
    assert.deepEqual(became(value), expected, `from ${JSON.stringify(value)}`);
  assert.throws(() => became('{"a":}'), 'what only looks like JSON fails');
  assert.deepEqual(became('test', { dataType: 'binary' }), ['test'], 'binary does without the base64 attempt');
});

test('what Outputs.res gives the caller', () => {
  assert.deepEqual(httpAnswer({ statusCode: '202', headers: { 'Content-Type': 'a/b', 'Retry-After': 3 }, body: 'x' }), {
    status: 202,
    headers: { 'Content-Type': 'a/b', 'Retry-After': 3 },
    body: 'x',
  });
  assert.match(httpAnswer({ body: 'x' }).headers['Content-Type'], /^text\/plain/);
  assert.throws(() => httpAnswer({ headers: { a: ['b'] } }), 'an array as a header value');
});

describe('answers and restarts of the stand-in host', { concurrency: false }, () => {
  let scene;
  before(async () => {
    scene = await ruleScene();
  });
  after(() => scene?.stop());

  test('answers that count, and answers that fail', async () => {
    await scene.start();
    for (const good of [
      reply('{}'),
      reply('{"Outputs":null,"Other":1}'),
      reply('{}', { headers: { 'Content-Type': 'text/json; charset=utf-8' } }),
    ]) {
      assert.equal((await scene.fire(good)).outcome, 'succeeded', good);
    }
    for (const bad of [
      reply('{}', { headers: { 'Content-Type': 'text/plain' } }),
      reply('{}', { headers: { 'Content-Type': 'application/problem+json' } }),
      reply('{}', { headers: {} }),
      reply('{"Outputs":"abc"}'),
      reply('{"Logs":"abc"}'),
      reply('[]'),
      reply('7'),
      reply('{'),
      reply('{}', { status: 500 }),
      reply('{}', { status: 302 }),
      JSON.stringify({ drop: true }),
    ])
      assert.equal((await scene.fire(bad)).outcome, 'failed', bad);
    assert.deepEqual(scene.exits(), [null], 'no answer costs the handler its life');
  });

  test('an empty 2xx hangs until functionTimeout, then the handler is killed and started again, uncounted', async () => {
    const host = await scene.start();
    for (const body of ['', ' ', 'null']) {
      const { outcome, reason } = await scene.fire(reply(body));
      assert.equal(outcome, 'failed');
      assert.match(reason, /functionTimeout/, `'${body}' is no answer`);
      const starts = host.handler.starts.length;
      await until(() => host.handler.starts.length > starts, { what: 'a new process' });
      await host.handler.ready;
    }
    assert.deepEqual(scene.exits(), ['SIGKILL', 'SIGKILL', 'SIGKILL', null]);
    assert.equal(host.state, 'Running', 'three kills for time do not end the host');
  });

  test('200 restarts uncounted, the third error ends the host, 0 is final', async () => {
    let host = await scene.start();
    for (let times = 0; times < 4; times += 1) await scene.fire('{"exit":200}');
    await until(() => scene.exits().length === 5, { what: 'four new processes after 200' });
    await host.handler.ready;
    for (let times = 0; times < 3; times += 1) await scene.fire('{"exit":7}');
    await until(() => host.state === 'Error', { what: 'the end of the host after three errors' });
    assert.deepEqual(scene.exits(), [200, 200, 200, 200, 7, 7, 7]);
    host = await scene.start();
    await scene.fire('{"exit":0}');
    assert.equal((await scene.fire(reply('{}'))).outcome, 'failed', 'nobody is there after 0');
    assert.deepEqual([scene.exits(), host.state], [[0], 'Running']);
    const deaf = { defaultExecutablePath: 'node', arguments: ['-e', 'setTimeout(() => {}, 60000)'] };
    host = await scene.start({ customHandler: { description: deaf, initializationTimeout: '00:00:00.3' } });
    assert.deepEqual([scene.exits().length, host.state], [3, 'Error'], 'one that never listens is killed and started three times');
  });
});
