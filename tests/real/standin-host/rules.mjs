// What the tests of the host's rules share: an app on a quick host, and work for it fired by hand.
import { until } from '../herald.mjs';
import { startStandinHost } from '../standin-host.mjs';
import { startAzurite } from './azurite.mjs';
import { appFolder, ask, FUNCTIONS, KEYS } from './fixtures.mjs';

export const json = { 'Content-Type': 'application/json' };
export const master = { ...json, 'x-functions-key': KEYS.master };
export const QUICK = { functionTimeout: '00:00:01', extensions: { queues: { maxPollingInterval: '00:00:00.1', maxDequeueCount: 3 } } };

/** What makes the recording handler answer so. */
export const reply = (body, more = {}) => JSON.stringify({ reply: { body, ...more } });

/** `start` ends the host before and starts another, on a folder of its own. */
export async function ruleScene() {
  const azurite = await startAzurite();
  const scene = { azurite, host: null, folder: null };
  scene.start = async (hostJson = QUICK, functions = FUNCTIONS, environment = {}) => {
    await scene.stop();
    scene.folder = appFolder(functions, hostJson);
    const env = { PATH: process.env.PATH, AzureWebJobsStorage: azurite.connectionString, HERALD_SCHEDULE: '0 0 0 * * *', ...environment };
    const host = await startStandinHost({ scriptRoot: scene.folder, keys: KEYS, environment: env });
    scene.host = host;
    await until(() => host.handler.starts.at(-1).readyAt || host.state === 'Error', { what: 'the handler being ready' });
    return host;
  };
  scene.stop = () => scene.host?.stop();
  /** Fires DeliverBatch by hand with what the handler is to do, and waits for the end. */
  scene.fire = async (text) => {
    const { host } = scene;
    const already = host.invocations.length;
    await ask(`${host.url}/admin/functions/DeliverBatch`, { method: 'POST', headers: master, body: JSON.stringify({ input: text }) });
    return until(() => host.invocations.slice(already).find(({ outcome }) => outcome), { what: `the end of ${text}` });
  };
  /** How the processes of the handler ended, null for the one that lives. */
  scene.exits = () => scene.host.handler.starts.map(({ exit }) => exit);
  return scene;
}
