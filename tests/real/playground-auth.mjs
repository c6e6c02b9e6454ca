// Herald and the Agents Playground with credentials, a token service for both, and recorders between them.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startAuthority } from './authority.mjs';
import { healthy, startConnector, startHerald, temporaryFolder, until } from './herald.mjs';
import { artefacts, bot, openPage, startPlayground, tenantId } from './playground.mjs';

export const appId = bot.id.slice('28:'.length);
export const secret = 'known-to-the-bot-and-to-Entra';
const apiKey = { 'x-functions-key': 'known-to-the-operator' };

/** Trusted by whoever is told to, for the names that the Playground cannot be talked out of. */
function selfSigned() {
  const folder = temporaryFolder();
  const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => join(folder, name));
  const names = 'subjectAltName=DNS:login.microsoftonline.com,DNS:login.botframework.com';
  const files = ['-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=login', '-addext', names];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files], { stdio: 'pipe' });
  return { key, certificate };
}

/** One service with two faces, since they are asked in different ways; each counts its own callers. */
async function startLogin() {
  const { key, certificate } = selfSigned();
  const forHerald = await startAuthority({ tenantId, appId, secret, tokenVersion: '1.0' }); // as the Connector's tokens are
  const tls = { key: readFileSync(key), cert: readFileSync(certificate) };
  const forPlayground = await startAuthority({ tenantId, appId, secret, tls, tokenVersion: '2.0' });
  forPlayground.keys = new Map(forHerald.keys);
  return { forHerald, forPlayground, certificate };
}

function startSignedPlayground(endpoint, serviceUrl, { forPlayground, certificate }) {
  const hook = fileURLToPath(new URL('login-hosts.cjs', import.meta.url));
  return startPlayground(endpoint, serviceUrl, {
    options: ['--client-id', appId, '--client-secret', secret, '--tenant-id', tenantId],
    node: ['--require', hook],
    env: { NODE_EXTRA_CA_CERTS: certificate, LOGIN_PORT: String(forPlayground.port) },
  });
}

const startSignedHerald = ({ forHerald }, connector) => startHerald({
  env: {
    MicrosoftAppId: appId, MicrosoftAppType: 'SingleTenant', MicrosoftAppTenantId: tenantId, MicrosoftAppPassword: secret,
    HERALD_AUTH: 'entra', HERALD_OPENID_METADATA: forHerald.metadata, HERALD_TOKEN_AUTHORITY: forHerald.url,
    HERALD_ALLOWED_SERVICE_HOSTS: new URL(connector.url).host,
    HERALD_API_KEY: apiKey['x-functions-key'], HERALD_SCHEDULE: '* * * * * *',
  },
});

/** A request goes on as it came, with the one header that matters here; an empty one is left out. */
export async function passOn(base, { method, path, headers, body }, authorization = headers.authorization) {
  const kept = { ...(body && { 'content-type': headers['content-type'] }), ...(authorization && { authorization }) };
  const answer = await fetch(base + path, { method, headers: kept, body: body || undefined });
  return { status: answer.status, body: await answer.text() };
}

/** Everything passes a recorder on its way, so who showed what to whom is not taken from anybody's own word. */
export async function startScene(t, name) {
  const [toHerald, toTeams, login] = [await startConnector(), await startConnector(), await startLogin()];
  const herald = await startSignedHerald(login, toTeams);
  t.after(() => writeFileSync(join(artefacts, `${name}-herald.log`), herald.log()));
  await healthy(herald);
  const playground = await startSignedPlayground(`${toHerald.url}/api/messages`, toTeams.url, login);
  const connector = `${playground}/_connector`;
  toHerald.behave((request) => passOn(herald.url, request));
  toTeams.behave((request) => passOn(connector, request));
  const page = await openPage(t, playground, `${name}.png`);
  const api = (path, body) => herald.api(path, body, apiKey);
  await page.getByRole('treeitem', { name: 'Personal Chat' }).click();
  await until(async () => (await api('/api/users')).users[0]?.reachable, { what: 'Ana being reachable' });
  return { ...login, toHerald, toTeams, herald, connector, page, api };
}

export const tokenRequests = ({ requests }) => requests.filter(({ path }) => path.includes('/oauth2/v2.0/token'));
/** The headers that the tokens given out so far make, in order. */
export const givenOut = (authority) => tokenRequests(authority).map(({ answer }) => `Bearer ${answer.body.access_token}`);
export const claims = (header) => JSON.parse(Buffer.from(header.split('.')[1], 'base64url'));
/** Each attempt to send a text: the token that was shown, and what the Playground said to it. */
export const attempts = ({ toTeams }, text) =>
  toTeams.received.filter(({ body }) => body.includes(text)).map(({ headers, answer }) => [headers.authorization, answer.status]);
