// The second half of the table: what a token that is well signed says, and for which activity it speaks.
import { channelIssuer } from './authority.mjs';
import { accepted, laxer, refused, stricter } from './trust-cases.mjs';

const minutes = (count) => Math.floor(Date.now() / 1000) + 60 * count;
/** The token is authentic, only not for this. */
const notForThis = { status: 403, agree: true };
const neverEnds = 'a token without an end would be good for ever';

export function claimCases(authority, { appId, otherApp, serviceurl }) {
  const claims = (overrides) => authority.channelToken({ serviceurl, ...overrides });
  const text = (json) => authority.sign(json);
  const usual = { iss: channelIssuer, aud: appId, serviceurl, nbf: minutes(-1), exp: minutes(60) };
  const plain = JSON.stringify(usual);
  const reversed = JSON.stringify(Object.fromEntries(Object.entries(usual).reverse()), null, 2);
  return [
    ['issued by somebody else', refused, claims({ iss: 'https://login.contoso.example' })],
    ['issued by the government cloud', refused, claims({ iss: 'https://api.botframework.us' })],
    ['an issuer with a slash', refused, claims({ iss: `${channelIssuer}/` })],
    ['an issuer in capitals', refused, claims({ iss: channelIssuer.toUpperCase() })],
    ['no issuer', refused, claims({ iss: undefined })],
    ['an issuer that is a list', refused, claims({ iss: [channelIssuer] })],
    ['for another bot', refused, claims({ aud: otherApp })],
    ['for nobody', refused, claims({ aud: undefined })],
    ['for null', refused, claims({ aud: null })],
    ['for api://', refused, claims({ aud: `api://${appId}` })],
    ['for api://botid-', refused, claims({ aud: `api://botid-${appId}` })],
    ['for 28:', refused, claims({ aud: `28:${appId}` })],
    ['for the Bot Connector', refused, claims({ aud: channelIssuer })],
    ['for the bot in capitals', laxer('app ids are GUIDs, the same in either case'), claims({ aud: appId.toUpperCase() })],
    ['for the bot and a space', refused, claims({ aud: `${appId} ` })],
    ['for a list of one', refused, claims({ aud: [appId] })],
    ['for a list of two', refused, claims({ aud: [otherApp, appId] })],
    ['for an empty list', refused, claims({ aud: [] })],
    ['ended 10 minutes ago', refused, claims({ exp: minutes(-10) })],
    ['ended 6 minutes ago', refused, claims({ exp: minutes(-6) })],
    ['ended 4 minutes ago, within the skew', accepted, claims({ exp: minutes(-4) })],
    ['no end', stricter(neverEnds), claims({ exp: undefined })],
    ['an end that is text', refused, claims({ exp: `${minutes(60)}` })],
    ['an end that is null', refused, claims({ exp: null })],
    ['an end with a fraction', accepted, claims({ exp: minutes(60) + 0.5 })],
    ['an end long ago', refused, claims({ exp: -1 })],
    ['an end beyond all integers', stricter(neverEnds), text(plain.replace(/"exp":\d+/, '"exp":1e300'))],
    ['an end in milliseconds', stricter('no calendar has that year'), claims({ exp: Date.now() + 3_600_000 })],
    ['begins in 4 minutes, within the skew', accepted, claims({ nbf: minutes(4) })],
    ['begins in 6 minutes', refused, claims({ nbf: minutes(6) })],
    ['begins in an hour', refused, claims({ nbf: minutes(60), exp: minutes(120) })],
    ['no beginning', accepted, claims({ nbf: undefined })],
    ['a beginning that is text', refused, claims({ nbf: `${minutes(-1)}` })],
    ['a beginning that is null', refused, claims({ nbf: null })],
    ['a beginning with a fraction', accepted, claims({ nbf: minutes(-1) + 0.5 })],
    ['issued in an hour', accepted, claims({ iat: minutes(60) })],
    ['never issued', accepted, claims({ iat: undefined })],
    ['more claims than needed', accepted, claims({ ver: '1.0', jti: 'a', extra: { deep: [1, null] } })],
    ['for the bot, naming another app', laxer('Microsoft takes it for a skill, yet the channel signed it'), claims({ ver: '1.0', appid: otherApp })],
    ['claims in another order, on several lines', accepted, text(reversed)],
    ['a claim twice, the second right', stricter('a name twice has no meaning'), text(plain.replace('{', '{"aud":"x",'))],
    ['a claim twice, the first right', refused, text(plain.replace('}', ',"aud":"x"}'))],
    ['claims after a byte order mark', refused, text(`\ufeff${plain}`)],
    ['claims that are cut off', refused, text(plain.slice(0, -1))],
    ['claims and more', refused, text(`${plain}{}`)],
    ['claims that are a list', refused, text(`[${plain}]`)],
    ['claims that are text', stricter('claims are an object, and Microsoft decodes twice'), text(JSON.stringify(plain))],
    ['claims that are null', refused, text('null')],
    ['claims that are empty', refused, text('{}')],
    ['more than 16 KiB', stricter('what the channel sends is a tenth of that'), claims({ extra: 'x'.repeat(16_384) })],
  ].map(([name, verdict, jwt]) => [name, verdict, [`Bearer ${jwt}`]]);
}

/** The claim binds the address that answers go to, the key binds the channel. */
export function activityCases(authority, { appId, otherApp, serviceurl, otherTenant }) {
  const bare = serviceurl.replace(/\/$/, '');
  const slash = laxer('an address is the same with a slash and without (the design; teams.py trims it too)');
  const signed = (key, claims) => authority.channelToken({ serviceurl, ...claims }, { key });
  const vouches = 'a key that names no channel vouches for none';
  const host = 'an answer, with our token, goes only to a host on the list';
  const capitals = serviceurl.replace('localhost', 'LOCALHOST');
  const elsewhere = 'https://evil.trafficmanager.net/teams/';
  const tenant = (id) => ({ conversation: { id: 'a:1', conversationType: 'personal', tenantId: id }, channelData: { tenant: { id } } });
  return [
    ['no serviceurl claim', notForThis, signed('channel', { serviceurl: undefined })],
    ['a serviceUrl claim', notForThis, signed('channel', { serviceurl: undefined, serviceUrl: serviceurl })],
    ['another serviceurl claim', notForThis, signed('channel', { serviceurl: elsewhere })],
    ['an empty serviceurl claim', notForThis, signed('channel', { serviceurl: '' })],
    ['a serviceurl claim that is a list', refused, signed('channel', { serviceurl: [serviceurl] })],
    ['a serviceurl claim with a path more', notForThis, signed('channel', { serviceurl: `${serviceurl}emea/` })],
    ['a serviceurl claim that only begins alike', notForThis, signed('channel', { serviceurl: bare.slice(0, -1) })],
    ['a serviceurl claim with a host in capitals', notForThis, signed('channel', { serviceurl: capitals })],
    ['a slash more in the claim', slash, signed('channel'), { serviceUrl: bare }],
    ['a slash more in the activity', slash, signed('channel', { serviceurl: bare })],
    ['two slashes more in the activity', notForThis, signed('channel'), { serviceUrl: `${serviceurl}//` }],
    ['another path in the activity', notForThis, signed('channel'), { serviceUrl: `${serviceurl}Teams/` }],
    ['an address that is not ours, vouched for', stricter(host, 403), signed('channel', { serviceurl: elsewhere }), { serviceUrl: elsewhere }],
    ['no address and no claim', stricter(host, 400), signed('channel', { serviceurl: undefined }), { serviceUrl: undefined }],
    ['an empty address and claim', stricter(host, 400), signed('channel', { serviceurl: '' }), { serviceUrl: '' }],
    ['a key of another channel', notForThis, signed('otherChannel')],
    ['a key without endorsements', stricter(vouches, 403), signed('bare')],
    ['a key with an empty list of endorsements', stricter(vouches, 403), signed('empty')],
    ['a key whose endorsements are text', stricter('a key that is not written as keys are is none'), signed('text')],
    ['a key of many channels', accepted, signed('manyChannels')],
    ['the emulator by a key of Teams', notForThis, signed('channel'), { channelId: 'emulator' }],
    ['Direct Line by a key of Teams', notForThis, signed('channel'), { channelId: 'directline' }],
    ['Direct Line by a key of many channels', accepted, signed('manyChannels'), { channelId: 'directline' }],
    ['Azure Stack by a key of Teams', notForThis, signed('channel'), { channelId: 'AseChannel' }],
    ['Teams in capitals', notForThis, signed('channel'), { channelId: 'MSTEAMS' }],
    ['Teams and a space', notForThis, signed('channel'), { channelId: 'msteams ' }],
    ['Teams, Copilot', laxer('the part before the colon is the channel, the rest is a place in it'), signed('channel'), { channelId: 'msteams:COPILOT' }],
    ['another channel that ends as Teams', notForThis, signed('channel'), { channelId: 'evil:msteams' }],
    ['a channel that is empty', stricter('an activity has a channel', 400), signed('channel'), { channelId: '' }],
    ['for the bot by its bare id', accepted, signed('channel'), { recipient: { id: appId } }],
    ['for the bot in capitals', accepted, signed('channel'), { recipient: { id: `28:${appId.toUpperCase()}` } }],
    ['for another bot', stricter('what is for another bot changes nothing here', 403), signed('channel'), { recipient: { id: `28:${otherApp}` } }],
    ['of a tenant not on the list', stricter('only the tenants on the list', 403), signed('channel'), tenant(otherTenant)],
  ].map(([name, verdict, jwt, change]) => [`activity: ${name}`, verdict, [`Bearer ${jwt}`], change]);
}
