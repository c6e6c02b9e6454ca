// Herald when Cosmos DB is silent, slow or not there yet, and when Herald itself is killed.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { layOut, settings, startCosmos, startEmulator } from './cosmos.mjs';
import { arrivals, assertAllSent, assertOnce, atArrival, completed, gather, notify, recipients } from './crowd.mjs';
import { healthy, runHerald, startConnector, startHerald } from './herald.mjs';

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

/** A test that shows Herald's log when it fails, and leaves no interference behind. */
const story = (name, sceneOf, body) =>
  test(name, async (t) => {
    const scene = sceneOf();
    try {
      await body(t, scene);
    } catch (error) {
      t.diagnostic(`Herald's log:\n${scene.herald.log().split('\n').slice(-60).join('\n')}`);
      throw error;
    } finally {
      scene.cosmos.thaw();
      scene.connector.behave(() => undefined);
    }
  });

const freePort = async () => {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
};

// Most of it is waiting, and each has everything for itself: so all three at once.
describe('Herald and Cosmos DB in trouble', { concurrency: 3 }, () => {
  describe('2000 people, known to Cosmos DB', { concurrency: false, timeout: 300_000 }, () => {
    const people = 2000;
    const tenants = 20; // so that the pace of a tenant, 50 a second, is not what takes the time
    let scene;
    let crowd;
    before(async () => {
      scene = await startScene();
      crowd = await gather(scene, { people, tenants });
    });

    story('silent for ten seconds in the middle of sending: everybody gets it once, nobody is uncertain', () => scene, async (t) => {
      const frozen = atArrival(scene, 'silence', 530, scene.cosmos.freeze);
      const began = Date.now();
      await notify(scene, 'silence');
      await frozen;
      await pause(5000); // what was on record as being sent is sent
      const before = arrivals(scene, 'silence').length;
      await pause(5000);
      assert.equal(arrivals(scene, 'silence').length, before, 'nothing is sent that cannot be put on record first');
      assert.ok(before < people, 'it was the middle');
      scene.cosmos.thaw();
      const status = await completed(scene, 'silence', 60_000);
      t.diagnostic(`${before} had it when all was still; completed after ${Date.now() - began} ms`);
      assertOnce(scene, 'silence', crowd);
      assertAllSent(status, people);
    });

    story('Herald killed in the middle and started with an empty folder: nobody gets it twice, who may not have got it is reported', () => scene, async (t) => {
      const killed = atArrival(scene, 'killed', 530, () => scene.herald.kill());
      await notify(scene, 'killed');
      await killed;
      const before = arrivals(scene, 'killed').length;
      assert.ok(before < people, 'it was the middle');
      await scene.start();
      const began = Date.now();
      const { counts } = await completed(scene, 'killed', 90_000); // the leases of the one who is gone last 45 s
      t.diagnostic(`${before} had it; completed ${Date.now() - began} ms after the new start: ${JSON.stringify(counts)}`);
      const { audience, sent, pending, failed, uncertain } = counts;
      assert.deepEqual({ audience, pending, failed, sum: sent + uncertain }, { audience: people, pending: 0, failed: {}, sum: people });
      const arrived = new Set(arrivals(scene, 'killed'));
      assert.equal(arrivals(scene, 'killed').length, arrived.size, 'nobody gets it twice');
      const outcomes = {};
      for (const outcome of ['sent', 'uncertain', 'pending', 'failed', 'skipped']) {
        const listed = await recipients(scene, 'killed', outcome);
        outcomes[outcome] = listed.map(({ userId }) => userId.replace('29:1Person', 'a:1Chat'));
      }
      assert.deepEqual(
        Object.values(outcomes).map(({ length }) => length),
        [sent, uncertain, 0, 0, 0],
        'the recipients are as counted',
      );
      assert.deepEqual(outcomes.sent.filter((chat) => !arrived.has(chat)), [], 'who is reported as sent has it');
      const without = crowd.filter(({ teamsChat }) => !arrived.has(teamsChat) && !outcomes.uncertain.includes(teamsChat));
      assert.deepEqual(without, [], 'who does not have it is reported as uncertain');
      assert.deepEqual([...arrived].filter((chat) => !crowd.some(({ teamsChat }) => chat === teamsChat)), [], 'nobody else gets it');
      assert.ok(uncertain > 0, 'a kill in the middle leaves somebody uncertain');
    });
  });

  // What a request costs is the emulator's guess. That it answers 429 and says how long to wait is the service's way.
  describe('400 request units a second for each container', { concurrency: false, timeout: 150_000 }, () => {
    let scene;
    before(async () => {
      scene = await startScene({ throughput: 400, env: { RUST_LOG: 'info,herald::store=debug' } });
    });

    story('it takes longer, and everybody gets it once', () => scene, async (t) => {
      const people = 300;
      const crowd = await gather(scene, { people, tenants: 3 });
      const read = scene.herald.log().length;
      const began = Date.now();
      await notify(scene, 'storm');
      const status = await completed(scene, 'storm', 60_000);
      // A page asks each physical partition; anything else is one request, unless it was told to wait.
      const throttled = scene.herald.log().slice(read).match(/what="(read|create|replace|transaction)".* requests=([2-9]|\d\d+) .*/g) ?? [];
      t.diagnostic(`completed after ${Date.now() - began} ms; ${throttled.length} calls were told to wait, such as ${throttled[0]}`);
      assertOnce(scene, 'storm', crowd);
      assertAllSent(status, people);
      assert.ok(throttled.length > 0, 'there was a storm');
    });
  });

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
});
