// Herald as it runs in Azure, on this machine: `herald package`, the stand-in host on it, Azurite, a Bot Connector stand-in.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCosmos } from '../cosmos.mjs';
import { startConnector, startProgram, temporaryFolder, until } from '../herald.mjs';
import { startStandinHost } from '../standin-host.mjs';
import { startAzurite } from './azurite.mjs';

export const KEY = 'the-function-key';
const repository = fileURLToPath(new URL('../../../', import.meta.url));
const binary = resolve(process.env.HERALD_BIN ?? join(repository, 'target/debug/herald'));

/** Only what a program needs to run: no setting of this machine's may reach Herald. */
const inherited = Object.fromEntries(
  ['PATH', 'HOME', 'TMPDIR', 'LANG'].filter((name) => name in process.env).map((name) => [name, process.env[name]]),
);

function packageHerald(folder) {
  const out = join(folder, 'dist');
  const { status, error, stdout, stderr } = spawnSync(binary, ['package', '--out', out], {
    cwd: repository,
    env: inherited,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, `herald package ended with ${status ?? error}:\n${stdout}\n${stderr}`);
  return out;
}

// Holds the database as a writer in another process would; killing it lets go.
const HOLD = `
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
db.execute('BEGIN IMMEDIATE')
print('locked')
time.sleep(120)`;

/** Herald's settings for a store, and `block()`, which makes it answer nobody; what that answers ends it. */
const STORES = {
  embedded: async (folder) => {
    const data = join(folder, 'data');
    const block = async () => {
      const lock = await startProgram('python3', ['-u', '-c', HOLD, join(data, 'herald.db')], { ready: /locked/ });
      return () => lock.kill();
    };
    return { env: { HERALD_STORE: 'embedded', HERALD_DATA_DIR: data }, block };
  },
  cosmos: async () => {
    const { env, freeze, thaw } = await startCosmos();
    const block = async () => {
      freeze();
      return thaw;
    };
    return { env, block };
  },
};

/** Starts everything on one of the stores. `intervene` may be set to a function `(name, attempt)`: see `onInvocation` of the host. */
export async function startScene(backend) {
  const folder = temporaryFolder();
  const [azurite, connector, store] = await Promise.all([startAzurite(), startConnector(), STORES[backend](folder)]);
  const scriptRoot = packageHerald(folder);
  const scene = { azurite, connector, host: null, intervene: null };
  const environment = {
    ...inherited,
    AzureWebJobsStorage: azurite.connectionString,
    AzureFunctionsJobHost__extensions__queues__visibilityTimeout: '00:00:01', // 15 s in host.json: too slow for a test
    HERALD_AUTH: 'off',
    ...store.env,
    HERALD_SCHEDULE: '*/2 * * * * *',
  };
  // Herald answers the host's ping before its store is open, and everything else with 503 until then.
  scene.healthy = () => until(async () => (await fetch(`${scene.host.url}/api/health`)).ok, { what: 'Herald being healthy' });
  /** The host on the packaged folder; once more after a stop, on the same data. */
  scene.start = async (more = {}) => {
    const onInvocation = (name, attempt) => scene.intervene?.(name, attempt);
    scene.host = await startStandinHost({
      scriptRoot,
      environment,
      keys: { function: KEY, master: 'the-master-key' },
      onInvocation,
      ...more,
    });
    const { host } = scene;
    try {
      assert.deepEqual(host.errors, {}, 'no function is in error');
      await until(() => host.handler.starts.at(-1).readyAt ?? host.state === 'Error', { timeout: 32_000, what: 'the handler being ready' });
      assert.equal(host.state, 'Running', 'the host goes on');
      await scene.healthy();
    } catch (error) {
      await host.stop();
      throw new Error(`${error.message}\n${host.lines.join('\n')}`, { cause: error });
    }
  };
  scene.stop = () => scene.host?.stop();
  scene.blockStore = store.block;
  scene.killHandler = async () => {
    const { handler } = scene.host;
    const starts = handler.starts.length;
    process.kill(handler.pid, 'SIGKILL');
    await until(() => handler.starts[starts]?.readyAt, { timeout: 30_000, what: 'the host starting a new handler' });
    assert.equal(handler.starts[starts - 1].exit, 'SIGKILL', 'the old handler is dead');
    await scene.healthy();
  };
  await scene.start();
  return Object.assign(scene, questions(scene));
}

function questions(scene) {
  const { connector, azurite } = scene;
  const api = (path, { headers, ...more } = {}) =>
    fetch(scene.host.url + path, { ...more, headers: { 'x-functions-key': KEY, 'content-type': 'application/json', ...headers } });
  const post = (path, body) => api(path, { method: 'POST', body: JSON.stringify(body) });
  const runs = (name, more = () => true) => scene.host.invocations.filter((run) => run.name === name && more(run));
  return {
    api,
    runs,
    /** An activity, posted as Teams would post it. */
    activity: async (activity) => {
      const answer = await post('/api/messages', { ...activity, serviceUrl: `${connector.url}/` });
      assert.equal(answer.status, 200, `${activity.type} of ${activity.from.id}: ${await answer.text()}`);
    },
    /** Posts a notification to everyone and insists on 202. */
    notify: async (id, more = {}) => {
      const postedAt = Date.now();
      const answer = await post('/api/notifications', {
        id,
        content: { text: `This is ${id}`, format: 'plain' },
        audience: { all: true },
        ...more,
      });
      const text = await answer.text();
      assert.equal(answer.status, 202, `posting ${id}: ${text}`);
      return { postedAt, location: answer.headers.get('location'), status: JSON.parse(text) };
    },
    /** The status of a notification once it is completed. */
    completed: (id, timeout = 40_000) =>
      until(
        async () => {
          const status = await (await api(`/api/notifications/${id}`)).json();
          if (status.state !== 'completed') throw new Error(JSON.stringify(status));
          return status;
        },
        { timeout, interval: 100, what: `${id} being completed` },
      ),
    /** Everything that reached the Bot Connector for a notification. */
    deliveries: (id) => connector.received.filter(({ activity }) => JSON.stringify(activity?.text ?? '').includes(`This is ${id}`)),
    /** No message waits and none is being worked on. */
    quiet: () =>
      until(
        async () => {
          const left = await Promise.all(['herald-notifications', 'herald-deliveries'].map((name) => azurite.queue(name).length()));
          return left.every((length) => length === 0) && scene.host.invocations.every(({ outcome }) => outcome);
        },
        { timeout: 30_000, what: 'empty queues' },
      ),
  };
}

/** A test's body that shows the host's log when it fails, and leaves no interference behind. */
export const withLog = (sceneOf, body) => async (t) => {
  try {
    await body(t);
  } catch (error) {
    t.diagnostic(`the host's log:\n${sceneOf()?.host.lines.slice(-60).join('\n')}`);
    throw error;
  } finally {
    if (sceneOf()) sceneOf().intervene = null;
    sceneOf()?.connector.behave(() => undefined);
  }
};
