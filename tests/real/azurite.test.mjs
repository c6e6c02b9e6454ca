// Herald in a (stand-in) Functions host with a real queue service: the whole way of a notification, and what goes wrong on it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from './herald.mjs';
import { ana, assertCompletedOnce, assertCounts, AUDIENCE, everyoneTalks, REACHABLE } from './standin-host/audience.mjs';
import { teamsMessage } from './standin-host/people.mjs';
import { assertRefusals, assertWrongMethods } from './standin-host/refusals.mjs';
import { startScene, withLog } from './standin-host/scene.mjs';

for (const store of ['embedded', 'cosmos']) describe(`Herald on ${store}, the Functions host and storage queues`, { concurrency: false, timeout: 180_000 }, () => {
  let scene;
  before(async () => {
    scene = await startScene(store);
  });
  after(() => scene?.stop());

  const story = (name, body) =>
    test(
      name,
      withLog(() => scene, body),
    );
  const completedOnce = (id) => assertCompletedOnce(scene, id);
  const outcomes = (messageId) => scene.runs('DeliverBatch', (run) => run.messageId === messageId).map(({ outcome }) => outcome);

  story('wrong methods are unknown to the host, and health is well', async () => {
    await assertWrongMethods(scene);
    const health = await scene.api('/api/health', { headers: { 'x-functions-key': '' } });
    assert.equal(health.status, 200, `health: ${await health.text()}`);
  });

  story('a notification reaches every Teams chat once, the first within five seconds', async (t) => {
    await everyoneTalks(scene);
    await until(() => scene.host.idle, { timeout: 30_000, what: 'the host polling at its slowest' });

    const { postedAt, location, status } = await scene.notify('first');
    assert.equal(location, '/api/notifications/first', 'the answer says where the status is');
    assert.equal(status.id, 'first', 'the answer is the status document');
    assert.match(status.state, /^(scheduled|planning|sending|completed)$/, 'with a state');
    const first = await until(() => scene.deliveries('first')[0], {
      timeout: 20_000,
      interval: 10,
      what: 'the first recipient being reached',
    });
    t.diagnostic(`idle host: first recipient after ${first.at - postedAt} ms`);
    assert.ok(first.at - postedAt < 5000, `the first recipient is reached within 5 s, not after ${first.at - postedAt} ms`);
    await completedOnce('first');

    const put = (name, binding) => scene.runs(name).flatMap(({ outputs }) => outputs[binding] ?? []).length;
    assert.equal(put('CreateNotification', 'notifications'), 1, 'CreateNotification puts out one message');
    assert.ok(put('RunNotification', 'deliveries') >= 1, 'RunNotification puts out batches');
    assert.ok(
      scene.runs('DeliverBatch', ({ trigger, outcome }) => trigger === 'queue' && outcome === 'succeeded').length,
      'DeliverBatch runs from its queue',
    );
    const failed = scene.host.invocations.filter(({ outcome }) => outcome === 'failed').map(({ name, reason }) => `${name}: ${reason}`);
    assert.deepEqual(failed, [], 'no invocation failed');
  });

  story('refusals come through the host', () => assertRefusals(scene));

  story('a batch that fails while the store answers nobody is delivered once it does', async () => {
    await scene.quiet();
    let blocked;
    let victim;
    scene.intervene = async (name, attempt) => {
      if (name !== 'DeliverBatch') return;
      victim ??= attempt.messageId;
      await (blocked ??= scene.blockStore());
    };
    await scene.notify('shut-out');
    const failures = () => outcomes(victim).filter((outcome) => outcome === 'failed').length;
    try {
      // It waits for half a minute first: a batch that it has taken on is nobody else's for longer than that.
      await until(() => failures() >= 1, { timeout: 75_000, what: 'the message failing' });
      assert.deepEqual(scene.deliveries('shut-out'), [], 'nothing is sent that cannot be put on record first');
    } finally {
      await (await blocked)?.();
    }
    await until(() => outcomes(victim).at(-1) === 'succeeded', { timeout: 30_000, what: 'the same message succeeding' });
    await completedOnce('shut-out');
  });

  story('a batch whose success the host never heard of is run again and sends nothing twice', async () => {
    await scene.quiet();
    let victim;
    scene.intervene = (name, attempt) => {
      if (name !== 'DeliverBatch' || victim) return undefined;
      victim = attempt.messageId;
      return 'discard';
    };
    await scene.notify('unheard');
    await until(() => outcomes(victim).at(-1) === 'succeeded', { timeout: 30_000, what: 'the message being run again' });
    assert.deepEqual(outcomes(victim), ['failed', 'succeeded'], 'thrown away, then run again');
    const [, again] = scene.runs('DeliverBatch', (run) => run.messageId === victim);
    assert.ok(
      scene.deliveries('unheard').some(({ at }) => at < again.startedAt),
      'the work was done before',
    );
    await completedOnce('unheard');
  });

  story('what is no pointer ends in the poison queue byte for byte, and stops nobody', async () => {
    const texts = ['no pointer: ☃', '{"dequeueCount":0,"id":"x"}'].map((text) => Buffer.from(text).toString('base64')).sort();
    const [queue, poison] = ['herald-deliveries', 'herald-deliveries-poison'].map(scene.azurite.queue);
    const put = await Promise.all(texts.map((text) => queue.put(text)));
    await until(async () => (await poison.texts()).length >= texts.length, {
      timeout: 40_000,
      interval: 200,
      what: 'both messages being poison',
    });
    assert.deepEqual((await poison.texts()).sort(), texts, 'the poison queue holds what was put in');
    const { maxDequeueCount } = scene.host.settings.queues;
    for (const { messageId } of put)
      assert.deepEqual(outcomes(messageId), Array(maxDequeueCount).fill('failed'), `tried ${maxDequeueCount} times, always failing`);
    await scene.notify('after-poison');
    await completedOnce('after-poison');
  });

  // Two kills in all: the third within half an hour would end the host.
  story('a killed handler is started again, and the next notification completes', async () => {
    await scene.killHandler();
    await scene.notify('after-kill');
    await completedOnce('after-kill');
  });

  story('killed in the middle of sending: whoever may have got it is reported uncertain, nobody gets it twice', async () => {
    await scene.quiet();
    scene.connector.behave(() => new Promise(() => {})); // Teams takes the message and never answers
    await scene.notify('cut-off');
    await until(() => scene.deliveries('cut-off')[0], { timeout: 20_000, what: 'a send being under way' });
    scene.connector.behave(() => undefined);
    await scene.killHandler();
    // On the embedded store nobody else can hold a lease; in Cosmos DB the dead one's lasts 45 seconds.
    const { counts } = await scene.completed('cut-off', 80_000);
    assert.ok(counts.uncertain >= 1, `at least the send that was under way is uncertain: ${JSON.stringify(counts)}`);
    assertCounts('cut-off', counts, { sent: REACHABLE.length - counts.uncertain, uncertain: counts.uncertain });
    const reached = scene.deliveries('cut-off').map(({ conversationId }) => conversationId);
    assert.equal(new Set(reached).size, reached.length, 'nobody gets it twice');
    assert.ok(
      reached.every((id) => REACHABLE.includes(id)),
      'and only Teams chats get it',
    );
  });

  story('a host from before proxying is served through the envelope', async () => {
    await scene.stop();
    await scene.start({ proxying: false });
    assert.equal((await scene.api('/api/health')).status, 200, 'health');
    await scene.activity(teamsMessage(ana));
    const status = await scene.api('/api/notifications/first');
    assert.equal((await status.json()).state, 'completed', 'the status of the first notification is there after the restart');
    const users = await (await scene.api('/api/users?reachable=false')).json();
    assert.equal(users.users.length, AUDIENCE - REACHABLE.length, 'those who cannot be reached are listed');
    await scene.notify('old-host');
    await completedOnce('old-host');
    const ways = new Set(scene.host.invocations.map(({ trigger }) => trigger));
    assert.ok(!ways.has('proxied'), 'nothing was passed through');
  });
});
