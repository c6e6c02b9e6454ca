// What Herald writes to Cosmos DB, read over the wire by Microsoft's SDK for JavaScript: an independent reader.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { CosmosClient } from '@azure/cosmos';
import { DATABASE, KEY, startCosmos } from './cosmos.mjs';
import { completed, notify, say } from './crowd.mjs';
import { healthy, startConnector, startHerald } from './herald.mjs';
import { BOT, copilotMessage, person, teamsMessage } from './standin-host/people.mjs';

const ana = person(1);
const bea = person(2); // known from Copilot alone
const bot = BOT.id.replace(/^28:/, '');
const { tenantId } = ana;
const personKey = `u:${ana.account.id}`;
/** Whole seconds; a little is gone by the time it is written. */
const DAY = 24 * 3600;
const isDays = (seconds, days) => seconds > days * DAY - 60 && seconds <= days * DAY;
const CARD = '{"type":"AdaptiveCard","version":"1.5","body":[{"type":"Image","scale":1.0,"tenth":0.1,"big":12345678901234567890}]}';

describe('what Herald writes to Cosmos DB, as another SDK reads it', { concurrency: false, timeout: 60_000 }, () => {
  const scene = {};
  let database;
  /** A point read: what the service keeps for itself is left out. */
  const read = async (container, id, ...keys) => {
    const { resource, statusCode } = await database.container(container).item(id, keys).read();
    assert.equal(statusCode, 200, `${container}/${id} in ${JSON.stringify(keys)}`);
    return Object.fromEntries(Object.entries(resource).filter(([name]) => !name.startsWith('_')));
  };

  before(async () => {
    [scene.cosmos, scene.connector] = await Promise.all([startCosmos(), startConnector()]);
    scene.herald = await startHerald({ env: { ...scene.cosmos.env, HERALD_SCHEDULE: '* * * * * *' } });
    await healthy(scene.herald);
    for (const activity of [teamsMessage(ana), copilotMessage(ana), copilotMessage(bea)]) await say(scene, activity);
    await notify(scene, 'plain');
    await completed(scene, 'plain', 20_000);
    database = new CosmosClient({ endpoint: scene.cosmos.endpoint, key: KEY }).database(DATABASE);
  });

  test('the containers: their keys, what they index, and which of them let documents fade', async () => {
    const containers = {
      people: [['/tenant', '/person'], ['/tenant/?', '/person/?', '/rank/?'], -1],
      aliases: [['/alias'], ['/alias/?']],
      conversations: [['/conversation'], []],
      tenants: [['/bot'], ['/bot/?']],
      notifications: [['/notification'], ['/rank/?', '/due/?'], -1],
      rosters: [['/notification'], [], -1],
      deliveries: [['/notification', '/tenant'], ['/notification/?', '/tenant/?', '/tag/?', '/due/?'], -1],
      throttles: [['/tenant'], []],
      settings: [['/owner'], []],
    };
    const { resources } = await database.containers.readAll().fetchAll();
    const paths = (list = []) => list.map(({ path }) => path);
    const found = resources.map(({ id, partitionKey, indexingPolicy, defaultTtl }) => {
      assert.deepEqual(paths(indexingPolicy.excludedPaths), ['/*'], `${id} indexes nothing that it was not told to`);
      assert.deepEqual([partitionKey.kind, partitionKey.version], [partitionKey.paths.length > 1 ? 'MultiHash' : 'Hash', 2], id);
      return [id, [partitionKey.paths, paths(indexingPolicy.includedPaths), ...(defaultTtl === undefined ? [] : [defaultTtl])]];
    });
    assert.deepEqual(Object.fromEntries(found), containers);
  });

  test('a person, under both levels of the partition key, with a reference for each channel', async () => {
    const { body, rank, ...rest } = await read('people', 'person', `${bot}|${tenantId}`, personKey);
    assert.deepEqual(rest, { id: 'person', tenant: `${bot}|${tenantId}`, person: personKey, v: 1 });
    assert.match(rank, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, 'always of the same width: its order is the order of time');
    const { v, tenant, key, userId, aadObjectId, references } = body;
    assert.deepEqual({ v, tenant, key, userId }, { v: 1, tenant: tenantId, key: personKey, userId: ana.account.id });
    assert.equal(aadObjectId, ana.account.aadObjectId);
    const chats = Object.entries(references).map(([channel, { conversationId, state }]) => [channel, conversationId, state]);
    assert.deepEqual(chats.sort(), [['m365Copilot', ana.copilotChat, 'active'], ['teamsChat', ana.teamsChat, 'active']]);
    const query = { query: 'SELECT VALUE c.person FROM c WHERE c.tenant = @tenant', parameters: [{ name: '@tenant', value: `${bot}|${tenantId}` }] };
    const { resources } = await database.container('people').items.query(query).fetchAll();
    assert.deepEqual(resources.sort(), [personKey, `u:${bea.account.id}`], 'the tenant alone leads to everybody in it');
  });

  test('the aliases of both ids, the tenant, and the bot', async () => {
    for (const alias of [personKey, `a:${ana.account.aadObjectId}`])
      assert.deepEqual(await read('aliases', tenantId, `${bot}|${alias}`), {
        id: tenantId, alias: `${bot}|${alias}`, v: 1, body: { v: 1, tenant: tenantId, person: personKey },
      });
    assert.deepEqual(await read('tenants', tenantId, bot), { id: tenantId, bot, v: 1, body: { v: 1, tenant: tenantId } });
    assert.deepEqual(await read('settings', 'bot', 'herald'), { id: 'bot', owner: 'herald', v: 1, body: { v: 1, botId: bot } });
  });

  test('the tombstone of the Copilot conversation, which never fades', async () => {
    const conversation = `${bot}|${ana.copilotChat}`;
    const { body: { copilotSince, ...body }, ...rest } = await read('conversations', 'conversation', conversation);
    assert.deepEqual(rest, { id: 'conversation', conversation, v: 1 }, 'no ttl');
    assert.deepEqual(body, { v: 1, conversationId: ana.copilotChat }, 'nobody has it for a Teams chat');
    assert.ok(Date.parse(copilotSince), copilotSince);
    const chat = await read('conversations', 'conversation', `${bot}|${ana.teamsChat}`);
    assert.deepEqual(chat.body, { v: 1, conversationId: ana.teamsChat, holders: [{ tenant: tenantId, person: personKey }] });
  });

  // That `ttl` is there is all that can be seen here: the emulator lets nothing fade.
  test('a notification that is over: control, request and message', async () => {
    const { body, rank, ttl, ...rest } = await read('notifications', 'control', 'plain');
    assert.deepEqual(rest, { id: 'control', notification: 'plain', v: 1 }, 'nothing is due any more');
    assert.ok(rank && isDays(ttl, 90), `ttl ${ttl}`);
    const { closed, stage } = body;
    const counts = { sent: 1, skipped: { noTeamsChat: 1 }, failed: {}, uncertain: 0 };
    assert.deepEqual({ stage, ...closed, cost: 0 }, { stage: 'completed', audience: 2, planned: true, counts, cost: 0 });
    const request = await read('notifications', 'request', 'plain');
    assert.ok(isDays(request.ttl, 90) && request.body.posted.audience === 'all', JSON.stringify(request));
    const message = await read('notifications', 'message', 'plain');
    assert.ok(isDays(message.ttl, 90) && message.body.content.text === 'plain', JSON.stringify(message));
  });

  test('its plan and its batch, with how each recipient ended', async () => {
    const place = { notification: 'plain', tenant: tenantId, v: 1 };
    const plan = await read('deliveries', 'plan', 'plain', tenantId);
    const { cost, ...planned } = plan.body;
    const counts = { sent: 1, skipped: { noTeamsChat: 1 }, failed: {}, uncertain: 0 };
    assert.deepEqual({ ...plan, body: planned, ttl: 0 }, { ...place, id: 'plan', tag: 'plan', ttl: 0, body: { v: 1, tenant: tenantId, cursor: 'done', batches: 1, audience: 2, counts } });
    assert.ok(isDays(plan.ttl, 120) && cost > 0, `ttl ${plan.ttl}, cost ${cost}`);
    const batch = await read('deliveries', '00000001', 'plain', tenantId);
    assert.deepEqual({ ...batch, body: 0, ttl: 0 }, { ...place, id: '00000001', tag: 'done', ttl: 0, body: 0 }, 'no lease and nothing due');
    assert.ok(isDays(batch.ttl, 120), `ttl ${batch.ttl}`);
    const { recipients, reported } = batch.body;
    const states = recipients.map(({ person, state: { is, reason, activity } }) => [person, is, reason ?? activity]).sort();
    const sent = scene.connector.received.find(({ activity }) => activity?.text === 'plain');
    assert.deepEqual(states, [[personKey, 'sent', sent.answer.body.id], [`u:${bea.account.id}`, 'skipped', 'noTeamsChat']]);
    assert.deepEqual(reported, counts);
  });

  test('a card whose numbers a double would change is kept as text', async () => {
    const posted = `{"id":"card","content":{"card":${CARD}},"audience":{"users":["${ana.account.id}"]}}`;
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${scene.herald.url}/api/notifications`, { method: 'POST', headers, body: posted });
    assert.equal(answer.status, 202, await answer.text());
    await completed(scene, 'card', 20_000);
    const sent = scene.connector.received.find(({ body }) => body.includes('AdaptiveCard'));
    for (const id of ['request', 'message']) {
      const { body, text } = await read('notifications', id, 'card');
      assert.equal(body, undefined, `${id}: not as JSON, whose numbers are doubles in Cosmos DB`);
      for (const number of ['"scale":1.0,', '"tenth":0.1', '"big":12345678901234567890'])
        for (const [where, json] of [[id, text], ['what was sent', sent.body]]) assert.ok(`${json},`.replaceAll('}', ',').includes(number), `${where}: ${number} in ${json}`);
    }
    const control = await read('notifications', 'control', 'card');
    assert.equal(control.body.stage, 'completed', 'the rest is JSON still');
  });

  test('the status says what it cost; the embedded store charges nothing', async () => {
    const { cost } = await scene.herald.api('/api/notifications/plain');
    assert.ok(cost > 10 && cost < 1000, `${cost} request units for two people`);
    const { body } = await read('notifications', 'control', 'plain');
    assert.equal(cost, Math.round(body.closed.cost / 10) / 100, 'stored in thousandths');
    const embedded = { connector: scene.connector, herald: await startHerald() };
    await say(embedded, teamsMessage(ana));
    await notify(embedded, 'free');
    const status = await completed(embedded, 'free', 20_000);
    assert.ok(status.counts.sent === 1 && !('cost' in status), JSON.stringify(status));
  });
});
