// Microsoft 365 Agents Playground in a real browser, with ids as a real tenant has them.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { startProgram, temporaryFolder, until } from './herald.mjs';

export const artefacts = fileURLToPath(new URL('../artefacts/', import.meta.url));
mkdirSync(artefacts, { recursive: true });
export const tenantId = '5b0c6b9a-8c0e-4d0e-9a5f-2f6f6d3c1a10';
export const bot = { id: '28:2d1f3c7e-4b6a-4f1d-8e52-9a7c5b3d1e0f', name: 'Herald' };
export const personalChat = 'a:1kJ5vTq0uYw9fR2mZxC7bN4hLsPdEoGiAaQ8';
const person = (name, number) => ({
  id: `29:1${name}Xq7RkPzT2`,
  name,
  givenName: name,
  surname: 'Example',
  userPrincipleName: `${name}@contoso.example`, // spelled as the Playground spells it
  email: `${name}@contoso.example`,
  aadObjectId: `7c9e6679-7425-40de-944b-e07fc1f90ae${number}`,
});
export const user = person('Ana', 0);

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

/** Answers its address. `options` go to the Playground, `node` to the Node that runs it. */
export async function startPlayground(endpoint, serviceUrl, { options = [], node = [], env = {} } = {}) {
  const folder = temporaryFolder(); // it writes its logs into its working directory
  writeFileSync(join(folder, '.m365agentsplayground.yml'), JSON.stringify(context));
  const cli = fileURLToPath(new URL('node_modules/@microsoft/m365agentsplayground/cli.js', import.meta.url));
  const usual = ['-e', endpoint, '-c', 'msteams', '-p', '0', '--service-url', serviceUrl, '--disable-telemetry'];
  // It opens the desktop's browser, whose page would install the bot a second time, and dies where there is none.
  for (const opener of ['xdg-open', 'open']) writeFileSync(join(folder, opener), '#!/bin/sh\n', { mode: 0o755 });
  const { match, exit, log } = await startProgram(process.execPath, [...node, cli, 'start', ...usual, ...options], {
    cwd: folder, env: { ...process.env, PATH: `${folder}:${process.env.PATH}`, ...env }, ready: /Listening on (\d+)/, // the port it got
  });
  const url = `http://127.0.0.1:${match[1]}`;
  const gone = exit.then((how) => assert.fail(`the Playground ended: ${JSON.stringify(how)}\n${log()}`));
  await Promise.race([gone, until(async () => (await fetch(url)).ok, { what: 'the page of the Playground' })]);
  return url;
}

export async function openPage(t, url, screenshot) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
  const page = await browser.newPage();
  t.after(() => page.screenshot({ path: join(artefacts, screenshot) }).finally(() => browser.close()));
  page.setDefaultTimeout(15_000);
  await page.route((address) => !['localhost', '127.0.0.1'].includes(address.hostname), (route) => route.abort());
  await page.goto(url);
  return page;
}

/** Only the chat has paragraphs and list items: the log and the preview repeat texts that were never drawn. */
export const drawing = (page, text) => page.locator('p, li').filter({ hasText: text });
export const drawn = (page, text) =>
  drawing(page, text).first().waitFor().catch((cause) => assert.fail(`the personal chat does not show "${text}": ${cause.message}`));

/** The answer passes the recorder on its way to the Playground, and is seen in the chat. */
export async function sayAndBeAnswered(page, recorder, text, expected) {
  const before = recorder.received.length;
  await page.getByRole('textbox').last().fill(text);
  await page.getByRole('button', { name: 'Send Message' }).click();
  const fits = ({ conversationId, activity }) => conversationId === personalChat && expected.test(activity?.text ?? '');
  const answer = await until(() => recorder.received.slice(before).find(fits), { what: `an answer to "${text}" that fits ${expected}` });
  const longest = answer.activity.text.match(/[\p{L}\p{N} ]+/gu).sort((a, b) => b.length - a.length)[0]; // free of markdown
  await drawn(page, longest.trim());
}

/** The steps of one story: after one that failed the others are skipped. */
export function storyOf(t) {
  let broken = false;
  return (name, fn) => t.test(name, { skip: broken && 'an earlier step failed' }, async () => {
    broken = true;
    await fn();
    broken = false;
  });
}
