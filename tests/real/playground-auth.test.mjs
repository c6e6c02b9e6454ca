// Both directions signed, by Microsoft's own client: the Agents Playground shows an Entra token and demands one.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { makeKey } from './authority.mjs';
import { until } from './herald.mjs';
import { appId, attempts, claims, givenOut, passOn, secret, startScene, tokenRequests } from './playground-auth.mjs';
import { drawing, drawn, sayAndBeAnswered, storyOf, tenantId, user } from './playground.mjs';

async function notify({ api }, id, text) {
  await api('/api/notifications', { id, content: { text }, audience: { all: true } });
  const { counts: { audience, sent, failed } } = await until(async () => {
    const status = await api(`/api/notifications/${id}`);
    return status.state === 'completed' && status;
  }, { timeout: 15_000, what: `the notification "${id}" being completed` });
  return { audience, sent, failed };
}

async function notifyAndSee(scene, id, text) {
  assert.deepEqual(await notify(scene, id, text), { audience: 1, sent: 1, failed: {} }, `the counts of "${id}"`);
  await drawn(scene.page, text);
}

async function notifyInVain(scene, id, text) {
  assert.deepEqual(await notify(scene, id, text), { audience: 1, sent: 0, failed: { http401: 1 } }, `the counts of "${id}"`);
  const { recipients } = await scene.api(`/api/notifications/${id}?recipients=failed`);
  assert.deepEqual(recipients.map(({ userId, outcome, reason }) => [userId, outcome, reason]), [[user.id, 'failed', 'http401']]);
  assert.equal(await drawing(scene.page, text).count(), 0, 'nothing is drawn');
}

/** The Playground looks the keys up at each request, so that a change counts from the next one on. */
const newKey = (authority) => authority.addKey('entra', { service: 'entra' });

test('Herald and the Playground prove themselves to each other with Entra tokens', { timeout: 60_000 }, async (t) => {
  const scene = await startScene(t, 'playground-auth');
  const { forHerald, forPlayground, toHerald, toTeams, herald, connector, page } = scene;
  const step = storyOf(t);
  const replies = () => toTeams.received.filter(({ activity }) => activity?.type === 'message');

  await step('what the Playground signs is accepted, and answered in the chat', async () => {
    await sayAndBeAnswered(page, toTeams, 'help', /status/i);
    const posts = toHerald.received.filter(({ method }) => method === 'POST');
    await until(() => posts.every(({ answer }) => answer?.status === 200), { what: 'all that the Playground sent being accepted' });
    const shown = posts.map(({ headers }) => headers.authorization);
    assert.ok(shown.every((header) => givenOut(forPlayground).includes(header)), 'each carried a token of the token service');
    const { aud, azp, tid } = claims(shown.at(-1));
    assert.deepEqual({ aud, azp, tid }, { aud: appId, azp: appId, tid: tenantId }, 'a token of the bot for the bot');
  });

  await step('the same request with no such token is refused, and changes nothing', async () => {
    const original = toHerald.received.findLast(({ activity }) => activity?.type === 'message');
    const before = replies().length;
    const again = async (header) => { // as a message of its own, since what comes twice is not answered twice
      const body = JSON.stringify({ ...original.activity, id: randomUUID() });
      return (await passOn(herald.url, { ...original, body }, header)).status;
    };
    const forged = forPlayground.entraToken({}, { key: makeKey({ kid: forPlayground.keys.get('entra').kid }) });
    const forAnother = forPlayground.entraToken({ aud: '00000000-0000-4000-8000-000000000000' });
    assert.equal(await again(''), 401, 'no token');
    assert.equal(await again(`Bearer ${forged}`), 401, 'a forged one');
    assert.equal(await again(`Bearer ${forAnother}`), 401, "another bot's");
    assert.equal(await again(original.headers.authorization), 200, "the Playground's own");
    await until(() => replies().length > before, { what: 'the reply to the accepted one' });
    assert.equal(replies().length, before + 1, 'only the accepted one was answered');
  });

  await step('a notification is drawn, and one token of the bot served for everything sent', async () => {
    await notifyAndSee(scene, 'first', 'Build 12 failed while linking');
    const [request, ...more] = tokenRequests(forHerald);
    assert.deepEqual(more, [], 'one request for a token');
    const form = { grant_type: 'client_credentials', client_id: appId, client_secret: secret, scope: 'https://api.botframework.com/.default' };
    assert.equal(request.path, `/${tenantId}/oauth2/v2.0/token`);
    assert.deepEqual(Object.fromEntries(new URLSearchParams(request.body)), form);
    const [token] = givenOut(forHerald);
    for (const { headers, body } of toTeams.received) assert.equal(headers.authorization, token, body);
    const send = toTeams.received.find(({ body }) => body.includes('Build 12'));
    assert.equal((await passOn(connector, send, '')).status, 401, 'the Playground takes nothing without it');
  });

  await step('a token that was good once is replaced when it is refused, and the notification is drawn', async () => {
    forHerald.keys.set('entra', newKey(forPlayground)); // the old key is gone for good
    await notifyAndSee(scene, 'second', 'Build 13 is green again');
    const [old, fresh, ...more] = givenOut(forHerald);
    assert.deepEqual(more, [], 'one fresh token');
    assert.deepEqual(attempts(scene, 'Build 13'), [[old, 401], [fresh, 201]]);
  });
});

test('where the Playground refuses the fresh token too, the recipient has failed', { timeout: 60_000 }, async (t) => {
  const scene = await startScene(t, 'playground-auth-refused');
  await notifyAndSee(scene, 'first', 'Build 14 failed while linking');
  for (const authority of [scene.forHerald, scene.forPlayground]) newKey(authority); // neither hears of the other's
  await notifyInVain(scene, 'second', 'Build 15 was never seen');
  const [old, forged, ...more] = givenOut(scene.forHerald);
  assert.deepEqual(more, [], 'one fresh token');
  assert.deepEqual(attempts(scene, 'Build 15'), [[old, 401], [forged, 401]]);
  await notifyInVain(scene, 'third', 'Build 16 was never seen');
  assert.equal(tokenRequests(scene.forHerald).length, 2, 'the token service is not asked again for each send');
});
