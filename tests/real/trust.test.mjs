// Who may speak to the bot: Herald and Microsoft's own validator are asked the same, and Herald is never the laxer one.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { startAuthority } from './authority.mjs';
import { healthy, startHerald, until } from './herald.mjs';
import { post, startMicrosoft } from './microsoft.mjs';
import { headerCases, publishKeys, signatureCases } from './trust-cases.mjs';
import { activityCases, claimCases } from './trust-claims.mjs';
import { entraCases } from './trust-entra.mjs';
import { mutations } from './trust-mutations.mjs';

const bot = { appId: '2d1f3c7e-4b6a-4f1d-8e52-9a7c5b3d1e0f', tenantId: '5b0c6b9a-8c0e-4d0e-9a5f-2f6f6d3c1a10', password: 'the secret' };
const others = { otherApp: '6f9619ff-8b86-4011-b42d-00c04fc964ff', otherTenant: '3f2504e0-4f89-41d3-9a0c-0305e82c3301' };
const serviceurl = 'http://localhost:9001/'; // nobody is there, and nobody is asked: what is sent here wants no answer

const activity = (changes) => ({
  type: 'conversationUpdate',
  id: randomUUID(),
  timestamp: new Date().toISOString(),
  channelId: 'msteams',
  serviceUrl: serviceurl,
  from: { id: '29:1AnaXq7RkPzT2', aadObjectId: '7c9e6679-7425-40de-944b-e07fc1f90ae0' },
  recipient: { id: `28:${bot.appId}` },
  conversation: { id: 'a:1kJ5vTq0uYw9fR2mZxC7bN4hLsPdEoGiAaQ8', conversationType: 'personal', tenantId: bot.tenantId },
  channelData: { tenant: { id: bot.tenantId } },
  ...changes,
});

async function startGuarded(authority, mode) {
  const herald = await startHerald({
    env: {
      MicrosoftAppId: bot.appId, MicrosoftAppType: 'SingleTenant', MicrosoftAppTenantId: bot.tenantId, MicrosoftAppPassword: bot.password,
      HERALD_AUTH: mode, HERALD_OPENID_METADATA: authority.metadata, HERALD_TOKEN_AUTHORITY: authority.url,
      HERALD_ALLOWED_SERVICE_HOSTS: '127.0.0.1:9001,localhost:9001', HERALD_ALLOWED_TENANTS: bot.tenantId,
    },
  });
  await healthy(herald);
  const tokens = [authority.channelToken({ serviceurl }), ...(mode === 'entra' ? [authority.entraToken()] : [])];
  const good = async (token) => (await post(herald, [`Bearer ${token}`], activity())).status === 200;
  for (const token of tokens) await until(() => good(token), { what: 'Herald having the keys' });
  return herald;
}

/** What both say of one request. */
async function askBoth({ microsoft, herald }, authorizations, changes) {
  const asked = activity(changes);
  const [theirs, ours] = await Promise.all([post(microsoft, authorizations, asked), post(herald, authorizations, asked)]);
  assert.ok([200, 401].includes(theirs.status), `Microsoft's validator answered ${theirs.status}: ${theirs.text}`);
  const text = `Microsoft ${theirs.status} ${theirs.text}; Herald ${ours.status} ${ours.text}`;
  return { theirs: theirs.status === 200, ours: ours.status === 200, status: ours.status, text };
}

/** What is wrong: a difference that is listed must be one, and as listed; one that is not listed must not be. */
function complaint({ status, agree, reason }, said) {
  if (said.status !== status) return `expected ${status}: ${said.text}`;
  if ((said.theirs === said.ours) === agree) return undefined;
  return agree ? `they differ: ${said.text}` : `they agree, yet it is listed that "${reason}": ${said.text}`;
}

const none = (complaints) => assert.ok(complaints.length === 0, `${complaints.length} complaints\n${complaints.join('\n')}`);

/** A token to read, not to use. */
const shown = (jwt) => jwt.split('.').slice(0, 2).map((part) => Buffer.from(part, 'base64url').toString('latin1')).join(' . ');

let authority;
let microsoft;
before(async () => {
  authority = await startAuthority({ ...bot, secret: bot.password });
  publishKeys(authority);
  microsoft = await startMicrosoft(authority, bot);
});

for (const mode of ['botFramework', 'entra']) {
  describe(`with HERALD_AUTH=${mode}`, { timeout: 60_000 }, () => {
    const scene = {};
    before(async () => Object.assign(scene, { microsoft, herald: await startGuarded(authority, mode) }));

    test('the table: Herald says what is listed, and differs where it is listed', async (t) => {
      const good = authority.channelToken({ serviceurl });
      const bad = authority.channelToken({ serviceurl, aud: others.otherApp });
      const about = { ...bot, ...others, serviceurl, good, bad, entra: mode === 'entra' };
      const table = [headerCases(about), ...[signatureCases, claimCases, activityCases, entraCases].map((part) => part(authority, about))].flat();
      const wrong = new Map();
      for (const [name, verdict, authorizations, changes] of table) {
        assert.ok(!wrong.has(name), `${name} is there twice`);
        wrong.set(name, complaint(verdict, await askBoth(scene, authorizations, changes)));
      }
      none([...wrong].filter(([, what]) => what).map((entry) => entry.join(': ')));
      t.diagnostic(`${table.length} cases, ${table.filter(([, { agree }]) => !agree).length} of them listed as differences`);
    });

    test('tokens changed at random: Herald is never the laxer one', async (t) => {
      const tokens = [{ key: 'channel', jwt: authority.channelToken({ serviceurl }) }];
      if (mode === 'entra') for (const version of ['1.0', '2.0']) tokens.push({ key: 'entra', jwt: authority.entraToken({}, { version }) });
      const counts = { accepted: 0, refused: 0, stricter: 0 };
      const wrong = [];
      for (const jwt of mutations({ seed: 20_261_123, count: 600, tokens, sign: authority.sign })) {
        const said = await askBoth(scene, [`Bearer ${jwt}`]);
        counts[!said.theirs ? 'refused' : said.ours ? 'accepted' : 'stricter'] += 1;
        const odd = ![200, 401, 403].includes(said.status);
        if (odd || (said.ours && !said.theirs)) wrong.push(`${said.text}\n${shown(jwt)}\n${jwt}`);
      }
      none(wrong);
      assert.ok(counts.accepted > 20 && counts.refused > 20, 'both kinds are among them');
      t.diagnostic(JSON.stringify(counts));
    });
  });
}
