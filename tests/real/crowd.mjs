// Many people, and how a notification to all of them ended, as the Bot Connector stand-in saw it.
import assert from 'node:assert/strict';
import { until } from './herald.mjs';
import { installation, person } from './standin-host/people.mjs';

/** Asks Herald once; an activity is answered 200 once it is on record. */
export async function say({ herald, connector }, activity) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ ...activity, serviceUrl: `${connector.url}/` });
  const answer = await fetch(`${herald.url}/api/messages`, { method: 'POST', headers, body });
  assert.equal(answer.status, 200, `${activity.type} of ${activity.from.id}: ${await answer.text()}`);
}

/** People who install the app, `workers` at a time, spread evenly over tenants. */
export async function gather(scene, { people, tenants, workers = 16 }) {
  const crowd = Array.from({ length: people }, (_, index) => ({ ...person(index + 1, index % tenants), tenant: index % tenants }));
  const left = [...crowd];
  const work = async () => {
    for (let who = left.pop(); who; who = left.pop()) await say(scene, installation(who, 'add'));
  };
  await Promise.all(Array.from({ length: workers }, work));
  return crowd;
}

/** The chats that a notification arrived in, once for each time that it did. */
export const arrivals = ({ connector }, text) =>
  connector.received.filter(({ activity }) => activity?.text === text).map(({ conversationId }) => conversationId);

/** Calls `act` in the very moment in which the notification arrives for the `number`th time. */
export function atArrival({ connector }, text, number, act) {
  return new Promise((resolve, reject) => {
    let seen = 0;
    connector.behave(({ activity }) => {
      if (activity?.text === text && ++seen === number) Promise.resolve(act()).then(resolve, reject);
      return undefined;
    });
  });
}

export const notify = ({ herald }, id, more = {}) =>
  herald.api('/api/notifications', { id, content: { text: id, format: 'plain' }, audience: { all: true }, ...more });

export const completed = ({ herald }, id, timeout) =>
  until(
    async () => {
      const status = await herald.api(`/api/notifications/${id}`);
      if (status.state !== 'completed') throw new Error(JSON.stringify(status));
      return status;
    },
    { timeout, interval: 100, what: `${id} being completed` },
  );

/** All pages of the recipients with an outcome. */
export async function recipients({ herald }, id, outcome) {
  const found = [];
  let after = '';
  do {
    const page = await herald.api(`/api/notifications/${id}?recipients=${outcome}${after}`);
    found.push(...page.recipients);
    after = page.continuation ? `&continuation=${encodeURIComponent(page.continuation)}` : null;
  } while (after);
  return found;
}

export function assertOnce(scene, text, crowd) {
  const arrived = arrivals(scene, text).sort();
  assert.equal(new Set(arrived).size, arrived.length, 'nobody gets it twice');
  assert.deepEqual(arrived, crowd.map(({ teamsChat }) => teamsChat).sort(), 'everybody gets it, and nobody else');
}

/** Every recipient was sent it, as Herald counts. */
export function assertAllSent({ counts, planned }, audience) {
  const { audience: all, sent, pending, failed, uncertain } = counts;
  assert.deepEqual({ planned, all, sent, pending, failed, uncertain }, { planned: true, all: audience, sent: audience, pending: 0, failed: {}, uncertain: 0 });
}
