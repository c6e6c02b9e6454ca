// Herald in Microsoft's own client: the Microsoft 365 Agents Playground, in a real browser.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { startCosmos } from './cosmos.mjs';
import { healthy, startConnector, startHerald, startProgram, temporaryFolder, until } from './herald.mjs';

const artefacts = fileURLToPath(new URL('../artefacts/', import.meta.url));
const tenantId = '5b0c6b9a-8c0e-4d0e-9a5f-2f6f6d3c1a10';
const bot = { id: '28:2d1f3c7e-4b6a-4f1d-8e52-9a7c5b3d1e0f', name: 'Herald' };
const personalChat = 'a:1kJ5vTq0uYw9fR2mZxC7bN4hLsPdEoGiAaQ8';
const copilotChat = '19:copilotVb3nK8sQx0LmT5yR1wZ@thread.v2';
const person = (name, number) => ({
  id: `29:1${name}Xq7RkPzT2`,
  name,
  givenName: name,
  surname: 'Example',
  userPrincipleName: `${name}@contoso.example`, // spelled as the Playground spells it
  email: `${name}@contoso.example`,
  aadObjectId: `7c9e6679-7425-40de-944b-e07fc1f90ae${number}`,
});
const user = person('Ana', 0);

// Everything in it is required, and exactly five users.
const context = {
  version: '0.1.1',
  tenantId,
  bot,
  currentUser: user,
  users: ['Bea', 'Cai', 'Dee', 'Eli', 'Fay'].map((name, index) => person(name, index + 1)),
  personalChat: { id: personalChat },
  groupChat: { id: '19:group@thread.v2', name: 'Group' },
  team: { id: '19:team@thread.tacv2', name: 'Team', aadGroupId: '3f2504e0-4f89-41d3-9a0c-0305e82c3301', channels: [{ id: '19:news@thread.tacv2', name: 'News' }] },
};

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

async function startPlayground(endpoint, serviceUrl) {
  const folder = temporaryFolder(); // it writes its logs into its working directory
  writeFileSync(join(folder, '.m365agentsplayground.yml'), JSON.stringify(context));
  const cli = fileURLToPath(new URL('node_modules/@microsoft/m365agentsplayground/cli.js', import.meta.url));
  const options = ['-e', endpoint, '-c', 'msteams', '-p', '0', '--service-url', serviceUrl, '--disable-telemetry'];
  // It opens the desktop's browser, whose page would install the bot a second time, and dies where there is none.
  for (const opener of ['xdg-open', 'open']) writeFileSync(join(folder, opener), '#!/bin/sh\n', { mode: 0o755 });
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  const { match, exit, log } = await startProgram(process.execPath, [cli, 'start', ...options], {
    cwd: folder, env, ready: /Listening on (\d+)/, // the port it got
  });
  const url = `http://127.0.0.1:${match[1]}`;
  const gone = exit.then((how) => assert.fail(`the Playground ended: ${JSON.stringify(how)}\n${log()}`));
  await Promise.race([gone, until(async () => (await fetch(url)).ok, { what: 'the page of the Playground' })]);
  return url;
}

async function openPage(t, url, screenshot) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
  const page = await browser.newPage();
  t.after(() => page.screenshot({ path: join(artefacts, screenshot) }).finally(() => browser.close()));
  page.setDefaultTimeout(15_000);
  await page.route((address) => !['localhost', '127.0.0.1'].includes(address.hostname), (route) => route.abort());
  await page.goto(url);
  return page;
}

for (const store of ['embedded', 'cosmos']) test(`in the Playground, notifications reach the Teams chat and never Copilot (${store})`, { timeout: 90_000 }, async (t) => {
  mkdirSync(artefacts, { recursive: true });
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
  // Only the chat has paragraphs and list items: the log and the preview repeat texts that were never drawn.
  const drawn = (text) => page.locator('p, li').filter({ hasText: text }).first().waitFor()
    .catch((cause) => assert.fail(`the personal chat does not show "${text}": ${cause.message}`));
  const say = async (text, expected) => {
    const before = recorder.received.length;
    await page.getByRole('textbox').last().fill(text);
    await page.getByRole('button', { name: 'Send Message' }).click();
    const fits = ({ conversationId, activity }) => conversationId === personalChat && expected.test(activity?.text ?? '');
    const answer = await until(() => recorder.received.slice(before).find(fits), { what: `an answer to "${text}" that fits ${expected}` });
    const longest = answer.activity.text.match(/[\p{L}\p{N} ]+/gu).sort((a, b) => b.length - a.length)[0]; // free of markdown
    await drawn(longest.trim());
  };
  const notify = async (id, text) => {
    await herald.api('/api/notifications', { id, content: { text }, audience: { all: true } });
    await drawn(text);
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

  let broken = false;
  const step = (name, fn) => t.test(name, { skip: broken && 'an earlier step failed' }, async () => {
    broken = true;
    await fn();
    broken = false;
  });

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
