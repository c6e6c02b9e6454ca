// Microsoft's own check of who calls a bot, behind HTTP as it is in a bot, and how to put a question to such an endpoint.
import { Agent, createServer, request } from 'node:http';
import { after } from 'node:test';
import { AseChannelValidation, BotFrameworkAuthenticationFactory, PasswordServiceClientCredentialFactory } from 'botframework-connector';
import { channelIssuer } from './authority.mjs';

const servers = [];
const agent = new Agent({ keepAlive: true, maxSockets: 16 });
after(() => {
  agent.destroy();
  for (const server of servers) server.close();
});

/** What `ConfigurationBotFrameworkAuthentication` makes of a bot's settings, with the addresses of our token service. */
function authentication(authority, { appId, tenantId, password }) {
  const emulator = `${authority.url}/common/v2.0/.well-known/openid-configuration`;
  AseChannelValidation.init({ MicrosoftAppId: appId, MicrosoftAppTenantId: tenantId });
  AseChannelValidation.MetadataUrl = emulator; // else it asks Microsoft
  return BotFrameworkAuthenticationFactory.create(
    '', true, `${authority.url}/${tenantId}`, channelIssuer, channelIssuer, channelIssuer, authority.metadata, emulator,
    'urn:botframework:azure', new PasswordServiceClientCredentialFactory(appId, password, tenantId), { requiredEndorsements: [] },
  );
}

/** A bot that only lets in or turns away, as `CloudAdapter.process` of botbuilder does: 200 or 401. */
export async function startMicrosoft(authority, bot) {
  console.error = () => {}; // it prints the key with each token that it refuses
  const check = authentication(authority, bot);
  const serve = async (incoming, response) => {
    let body = '';
    for await (const chunk of incoming.setEncoding('utf8')) body += chunk;
    const answer = (status, why = '') => response.writeHead(status).end(why);
    const verdict = check.authenticateRequest(JSON.parse(body), incoming.headers.authorization ?? '');
    await verdict.then(() => answer(200), (error) => answer(401, error.message));
  };
  const server = createServer({ maxHeaderSize: 65_536 }, (incoming, response) =>
    serve(incoming, response).catch((error) => response.writeHead(500).end(String(error))),
  );
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  return { url: `http://127.0.0.1:${server.address().port}` };
}

/** Posts an activity with no, one or several Authorization headers, exactly as given: `fetch` would tidy them up. */
export async function post({ url }, authorizations, activity) {
  const body = Buffer.from(JSON.stringify(activity));
  const headers = [['Host', new URL(url).host], ['Content-Type', 'application/json'], ['Content-Length', body.length]];
  for (const value of authorizations) headers.push(['Authorization', value]);
  const response = await new Promise((resolve, reject) =>
    request(`${url}/api/messages`, { method: 'POST', agent, headers: headers.flat() }, resolve).on('error', reject).end(body),
  );
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode, text, headers: response.headers };
}
