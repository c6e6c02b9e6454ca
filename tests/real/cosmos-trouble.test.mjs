// Herald when Cosmos DB is silent, slow or not there yet, and when Herald itself is killed.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { layOut, settings, startCosmos, startEmulator } from './cosmos.mjs';
import { arrivals, assertAllSent, assertOnce, atArrival, completed, gather, notify, recipients } from './crowd.mjs';
import { runHerald, startConnector, startHerald, until } from './herald.mjs';

const healthy = (herald) => until(async () => (await fetch(`${herald.url}/api/health`)).ok, { timeout: 30_000, what: 'Herald being healthy' });

async function startScene({ throughput, env = {} } = {}) {
  const [cosmos, connector] = await Promise.all([startCosmos({ throughput }), startConnector()]);
  const scene = { cosmos, connector };
  /** Each time on an empty data directory: all that it knows is in Cosmos DB. */
  scene.start = async () => {
    scene.herald = await startHerald({ env: { ...cosmos.env, HERALD_SCHEDULE: '* * * * * *', ...env } });
    await healthy(scene.herald);
  };
  await scene.start();
  return scene;
}

/** Herald's log with a failure, without which it says little. */
const story = (name, timeout, sceneOf, body) =>
  test(name, { timeout }, async (t) => {
    let scene;
    try {
      await body(t, (scene = await sceneOf()));
    } catch (error) {
      t.diagnostic(`Herald's log:\n${scene?.herald.log().split('\n').slice(-60).join('\n')}`);
      throw error;
    } finally {
      scene?.connector.behave(() => undefined);
    }
  });

const PEOPLE = 2000;
const TENANTS = 20; // so that the pace of a tenant, 50 a second, is not what takes the time
let crowded; // both notifications to the crowd go to the same one
const crowd = () =>
  (crowded ??= startScene().then(async (scene) => {
    const began = Date.now();
    scene.chats = await gather(scene, { people: PEOPLE, tenants: TENANTS });
    scene.gathered = Date.now() - began;
    return scene;
  }));

story('Cosmos DB is silent for ten seconds in the middle of sending: everybody gets it once, nobody is uncertain', 120_000, crowd, async (t, scene) => {
  t.diagnostic(`${PEOPLE} people on record after ${scene.gathered} ms`);
  const { cosmos, chats } = scene;
  const silent = atArrival(scene, 'silence', 500, cosmos.freeze);
  const began = Date.now();
  await notify(scene, 'silence');
  await silent;
  await pause(5000);
  const before = arrivals(scene, 'silence').length;
  await pause(5000);
  assert.equal(arrivals(scene, 'silence').length, before, 'nothing is sent that cannot be put on record first');
  assert.ok(before < PEOPLE, 'it was the middle');
  cosmos.thaw();
  const status = await completed(scene, 'silence', 60_000);
  t.diagnostic(`${before} had it when all was still; completed after ${Date.now() - began} ms`);
  assertOnce(scene, 'silence', chats);
  assertAllSent(status, PEOPLE);
});

story('killed in the middle and started with nothing but Cosmos DB: nobody gets it twice, and who may not have got it is reported', 150_000, crowd, async (t, scene) => {
  const { herald, chats } = scene;
  const killed = atArrival(scene, 'killed', 500, () => herald.kill());
  await notify(scene, 'killed');
  await killed;
  const before = arrivals(scene, 'killed').length;
  assert.ok(before < PEOPLE, 'it was the middle');
  await scene.start();
  const began = Date.now();
  const status = await completed(scene, 'killed', 90_000); // the leases of the one who is gone last 45 s
  t.diagnostic(`${before} had it; completed ${Date.now() - began} ms after the new start: ${JSON.stringify(status.counts)}`);
  const { audience, sent, pending, failed, uncertain } = status.counts;
  assert.deepEqual({ audience, pending, failed, sum: sent + uncertain }, { audience: PEOPLE, pending: 0, failed: {}, sum: PEOPLE });
  const arrived = arrivals(scene, 'killed');
  assert.equal(new Set(arrived).size, arrived.length, 'nobody gets it twice');
  const outcomes = {};
  for (const outcome of ['sent', 'uncertain', 'pending', 'failed', 'skipped']) outcomes[outcome] = await recipients(scene, 'killed', outcome);
  assert.deepEqual(Object.values(outcomes).map(({ length }) => length), [sent, uncertain, 0, 0, 0], 'the recipients are as counted');
  const chatsOf = (list) => list.map(({ userId }) => userId.replace('29:1Person', 'a:1Chat'));
  const [sure, unsure] = [chatsOf(outcomes.sent), new Set(chatsOf(outcomes.uncertain))];
  assert.deepEqual(sure.filter((chat) => !arrived.includes(chat)), [], 'who is reported as sent has it');
  const reached = new Set(arrived);
  assert.deepEqual(chats.filter((chat) => !reached.has(chat) && !unsure.has(chat)), [], 'who does not have it is reported as uncertain');
  assert.ok(uncertain > 0, 'a kill in the middle leaves somebody uncertain');
});

// What a request costs is the emulator's guess; that it refuses with 429 and how long it asks to wait is the service's way.
const storm = () => startScene({ throughput: 400, env: { RUST_LOG: 'info,herald::store=debug' } });
story('400 request units a second for each container: slower, and everybody gets it once', 120_000, storm, async (t, scene) => {
  const people = 300;
  const chats = await gather(scene, { people, tenants: 3 });
  const quiet = scene.herald.log().length;
  const began = Date.now();
  await notify(scene, 'storm');
  const status = await completed(scene, 'storm', 60_000);
  const repeated = scene.herald.log().slice(quiet).match(/Cosmos DB .*requests=([2-9]|\d\d+)\b.*/g) ?? [];
  t.diagnostic(`completed after ${Date.now() - began} ms; ${repeated.length} calls were throttled, such as ${repeated[0]}`);
  assertOnce(scene, 'storm', chats);
  assertAllSent(status, people);
  assert.ok(repeated.length > 0, 'calls had to be repeated');
});

const freePort = async () => {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
};

test('started before Cosmos DB is there: asks to come back, and is well by itself once it is', { timeout: 90_000 }, async (t) => {
  const port = await freePort();
  const env = settings(`http://127.0.0.1:${port}`);
  const herald = await startHerald({ env });
  const ask = async (path, more) => {
    const answer = await fetch(herald.url + path, more);
    return [path, answer.status, Number(answer.headers.get('retry-after')) > 0];
  };
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"type":"message"}' };
  const began = Date.now();
  assert.deepEqual(await ask('/'), ['/', 200, false], 'the Functions host must not be kept waiting');
  assert.ok(Date.now() - began < 1000, 'at once');
  const unavailable = async (when) => {
    for (const [path, more] of [['/api/health'], ['/api/messages', post]]) assert.deepEqual(await ask(path, more), [path, 503, true], `${when}: come back later`);
    const { code, log } = await runHerald(['config', 'check'], env);
    assert.notEqual(code, 0, `${when}: config check does not see that\n${log}`);
    return log;
  };
  await unavailable('nobody listens');
  await startEmulator({ port });
  assert.match(await unavailable('an empty account'), /herald store init/, 'it says what to do');
  await layOut(env);
  const laidOut = Date.now();
  await healthy(herald);
  t.diagnostic(`healthy ${Date.now() - laidOut} ms after the containers were there`);
  const { code, log } = await runHerald(['config', 'check'], env);
  assert.equal(code, 0, log);
  await layOut(env); // once more changes nothing
  assert.deepEqual(await ask('/api/health'), ['/api/health', 200, false]);
});
