// The audience of the tests with the stand-in host, and what a notification to all of it must come to.
import assert from 'node:assert/strict';
import { copilotMessage, installation, person, teamsMessage } from './people.mjs';

export const [ana, bea, cai, dee, eli, fay, gus] = [1, 2, 3, 4, 5, 6, 7].map((number) => person(number));
export const hal = person(8, 1); // of another tenant

/** The Teams chats that get a notification to all. */
export const REACHABLE = [ana, bea, cai, dee, eli, hal].map(({ teamsChat }) => teamsChat).sort();
/** With fay, known from Copilot alone, and gus, who removed the app. */
export const AUDIENCE = 8;

export async function everyoneTalks(scene) {
  for (const who of [ana, bea, gus]) await scene.activity(installation(who, 'add'));
  for (const who of [cai, dee, eli, hal]) await scene.activity(teamsMessage(who));
  for (const who of [eli, fay]) await scene.activity(copilotMessage(who)); // for eli the latest conversation is Copilot's
  await scene.activity(installation(gus, 'remove'));
}

/** Everyone with a Teams chat got it once, nobody else, and the counts say so. */
export async function assertCompletedOnce(scene, id) {
  const { counts, planned, completedAt } = await scene.completed(id);
  const reached = scene
    .deliveries(id)
    .map(({ conversationId }) => conversationId)
    .sort();
  assert.deepEqual(reached, REACHABLE, `${id}: each Teams chat gets one message and no other conversation any`);
  assert.equal(planned, true, `${id} is planned to the end`);
  assert.ok(completedAt, `${id} says when it was completed`);
  assertCounts(id, counts, { sent: REACHABLE.length, uncertain: 0 });
}

export function assertCounts(id, counts, { sent, uncertain }) {
  const sum = (reasons) => Object.values(reasons ?? {}).reduce((all, count) => all + count, 0);
  const said = JSON.stringify(counts);
  assert.equal(counts.audience, AUDIENCE, `${id}: the audience is everyone known: ${said}`);
  const states = counts.sent + counts.pending + sum(counts.skipped) + sum(counts.failed) + counts.uncertain;
  assert.equal(states, counts.audience, `${id}: the counts add up: ${said}`);
  assert.equal(counts.skipped.noTeamsChat, 1, `${id}: the one known from Copilot is skipped: ${said}`);
  assert.equal(counts.skipped.uninstalled, 1, `${id}: the one without the app is skipped: ${said}`);
  assert.deepEqual([counts.sent, counts.uncertain], [sent, uncertain], `${id}: sent and uncertain: ${said}`);
}
