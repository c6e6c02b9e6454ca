// Herald in Microsoft's own client: the Microsoft 365 Agents Playground, in a real browser.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startCosmos } from './cosmos.mjs';
import { healthy, startConnector, startHerald, until } from './herald.mjs';
import { artefacts, bot, drawn, openPage, personalChat, sayAndBeAnswered, startPlayground, storyOf, tenantId, user } from './playground.mjs';

const copilotChat = '19:copilotVb3nK8sQx0LmT5yR1wZ@thread.v2';

const copilotActivity = (serviceUrl) => ({
  type: 'message',
  id: `${Date.now()}`,
  timestamp: new Date().toISOString(),
  channelId: 'msteams',
  serviceUrl,
  from: { id: user.id, name: '', aadObjectId: user.aadObjectId },
  recipient: bot,
  conversation: { isGroup: true, conversationType: 'groupChat', tenantId, id: copilotChat },
  text: 'hello from Copilot',
  textFormat: 'plain',
  locale: 'en-us',
  entities: [{ type: 'clientInfo', locale: 'en-us', timezone: 'Europe/Madrid' }, { type: 'ProductInfo', id: 'COPILOT' }],
  channelData: { tenant: { id: tenantId }, productContext: 'COPILOT' },
});

for (const store of ['embedded', 'cosmos']) test(`in the Playground, notifications reach the Teams chat and never Copilot (${store})`, { timeout: 90_000 }, async (t) => {
  // Everything Herald sends passes this recorder, so what went where is not taken from Herald's own word.
  const recorder = await startConnector();
  const herald = await startHerald({ env: { HERALD_SCHEDULE: '* * * * * *', ...(store === 'cosmos' && (await startCosmos()).env) } });
  t.after(() => writeFileSync(join(artefacts, `playground-${store}-herald.log`), herald.log()));
  await healthy(herald);
  const playground = await startPlayground(`${herald.url}/api/messages`, recorder.url);
  recorder.behave(async ({ method, path, headers, body, conversationId }) => {
    if (conversationId === copilotChat) return undefined; // accepted here: the Playground has no Copilot chat
    const type = { 'content-type': headers['content-type'] ?? 'application/json' };
    const answer = await fetch(`${playground}/_connector${path}`, { method, headers: type, body: body || undefined });
    return { status: answer.status, body: await answer.text() };
  });
  const page = await openPage(t, playground, `playground-${store}.png`);

  const reachedThrough = (expected) => until(async () => {
    const { users } = await herald.api('/api/users');
    assert.deepEqual(users.map((known) => known.aadObjectId), [user.aadObjectId], 'exactly one person is known');
    const channels = users[0].channels.map(({ channel, state, conversationId }) => [channel, `${state} in ${conversationId}`]);
    assert.deepEqual(Object.fromEntries(channels), expected);
    return users[0].reachable;
  }, { what: `Ana being reachable and having the channels ${JSON.stringify(expected)}` });
  const say = (text, expected) => sayAndBeAnswered(page, recorder, text, expected);
  const notify = async (id, text) => {
    await herald.api('/api/notifications', { id, content: { text }, audience: { all: true } });
    await drawn(page, text);
    await until(async () => {
      const { state, counts } = await herald.api(`/api/notifications/${id}`);
      assert.deepEqual({ state, audience: counts.audience, sent: counts.sent }, { state: 'completed', audience: 1, sent: 1 });
      return true;
    }, { what: `the notification "${id}" being completed` });
    const sends = recorder.received.filter(({ body }) => body.includes(text));
    assert.deepEqual(sends.map((send) => send.conversationId), [personalChat], `where "${id}" was sent`);
    const { recipients } = await herald.api(`/api/notifications/${id}?recipients=sent`);
    const outcomes = recipients.map(({ userId, outcome, activityId }) => ({ userId, outcome, activityId }));
    const { id: activityId } = JSON.parse(sends[0].answer.body); // the Playground's own id of what it drew
    assert.deepEqual(outcomes, [{ userId: user.id, outcome: 'sent', activityId }], `the recipients of "${id}"`);
  };

  const step = storyOf(t);

  await step('installing the bot makes the user reachable', async () => {
    await page.getByRole('treeitem', { name: 'Personal Chat' }).click();
    await reachedThrough({ teamsChat: `active in ${personalChat}` });
  });

  await step('what the user types is answered in the chat', async () => {
    await say('good morning', /\S/);
    await say('help', /status/i);
    await say('status', /teams/i);
  });

  await step('a notification is drawn in the personal chat', () => notify('first', 'Build 12 failed while linking'));

  await step('a Copilot message adds a channel and leaves the Teams chat alone', async () => {
    await page.getByRole('button', { name: 'Mock an Activity' }).click();
    await page.getByRole('menuitem', { name: 'Custom activity' }).click();
    const dialog = page.getByRole('dialog', { name: 'Custom activity' });
    await dialog.getByRole('textbox').focus();
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.insertText(JSON.stringify(copilotActivity(recorder.url)));
    await page.keyboard.press('ControlOrMeta+Shift+End'); // the brackets that the editor closed by itself
    await page.keyboard.press('Delete');
    await dialog.getByRole('button', { name: 'Send activity' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await reachedThrough({ teamsChat: `active in ${personalChat}`, m365Copilot: `active in ${copilotChat}` });
  });

  await step('the next notification goes to the personal chat again, and nothing to Copilot', () => notify('second', 'Build 13 is green again'));
});
