// The third part of the table: tokens of Entra, as the Emulator and the Agents Playground send them.
import { entraIssuer } from './authority.mjs';
import { laxer, refused, stricter } from './trust-cases.mjs';

const minutes = (count) => Math.floor(Date.now() / 1000) + 60 * count;
/** A tenant of Microsoft's own, out of which old Emulators speak. */
const emulatorTenant = 'd6d49420-f39b-4df7-a1dc-d59a935871db';

/** With `entra` off Herald knows no token of Entra at all. */
export function entraCases(authority, { appId, otherApp, tenantId, otherTenant, entra }) {
  const token = (version, claims, how) => authority.entraToken(claims, { version, ...how });
  const accepted = entra ? { status: 200, agree: true } : stricter('tokens of Entra are taken only where the settings say so');
  const mine = stricter('whoever gets the token that we send could send it back to us');
  const capitals = entra ? laxer('app ids are GUIDs, the same in either case') : refused;
  const tid = stricter('a token of another tenant is of another directory');
  const strange = stricter('a token whose issuer and tenant differ is none that Entra makes');
  const named = stricter('Microsoft takes any tenant once it has been named in a token, even in one that is forged');
  return [
    ['1.0', accepted, token('1.0')],
    ['2.0', accepted, token('2.0')],
    ['1.0 for the emulator', accepted, token('1.0'), { channelId: 'emulator' }],
    ['2.0 for Azure Stack', accepted, token('2.0'), { channelId: 'AseChannel' }],
    ['2.0 with a serviceurl claim that differs', accepted, token('2.0', { serviceurl: 'https://elsewhere.example/' })],
    ['ended 4 minutes ago, within the skew', accepted, token('2.0', { exp: minutes(-4) })],
    ['ended 6 minutes ago', refused, token('2.0', { exp: minutes(-6) })],
    ['begins in 6 minutes', refused, token('2.0', { nbf: minutes(6) })],
    ['no end', stricter('a token without an end would be good for ever'), token('2.0', { exp: undefined })],
    ['1.0 of another tenant', named, token('1.0', {}, { tenant: otherTenant })],
    ['2.0 of another tenant', tid, token('2.0', {}, { tenant: otherTenant })],
    ['issuer of ours, tid of another', strange, token('2.0', { tid: otherTenant })],
    ['issuer of another, tid of ours', strange, token('2.0', { iss: entraIssuer['2.0'](otherTenant) })],
    ['an issuer that only begins alike', refused, token('2.0', { iss: `${entraIssuer['2.0'](tenantId)}/x` })],
    ['no tid', strange, token('2.0', { tid: undefined })],
    ['version 1.0, issuer of 2.0', accepted, token('1.0', { iss: entraIssuer['2.0'](tenantId) })],
    ['version 2.0, issuer of 1.0', accepted, token('2.0', { iss: entraIssuer['1.0'](tenantId) })],
    ['version 3.0', refused, token('2.0', { ver: '3.0' })],
    ['version 3.0 that says appid', refused, token('2.0', { ver: '3.0', appid: appId })],
    ['version 2, a number', refused, token('2.0', { ver: 2 })],
    ['no version', refused, token('2.0', { ver: undefined })],
    ['no version, and appid', refused, token('1.0', { ver: undefined })],
    ['version null, and appid', refused, token('1.0', { ver: null })],
    ['an empty version, and appid', stricter('Entra names a version in each of its tokens'), token('1.0', { ver: '' })],
    ['1.0 without appid', refused, token('1.0', { appid: undefined })],
    ['2.0 without azp', refused, token('2.0', { azp: undefined })],
    ['1.0 that says azp', refused, token('1.0', { appid: undefined, azp: appId })],
    ['2.0 that says appid', refused, token('2.0', { azp: undefined, appid: appId })],
    ['2.0 of the bot in capitals', capitals, token('2.0', { azp: appId.toUpperCase() })],
    ['1.0 of another app', refused, token('1.0', {}, { client: otherApp })],
    ['2.0 of another app', refused, token('2.0', {}, { client: otherApp })],
    ['2.0 of another app, which also says appid', refused, token('2.0', { appid: appId }, { client: otherApp })],
    ['1.0 for the Bot Connector', mine, token('1.0', { aud: 'https://api.botframework.com' })],
    ['2.0 for the Bot Connector', mine, token('2.0', { aud: 'https://api.botframework.com' })],
    ['for another app', refused, token('2.0', { aud: otherApp })],
    ['for api://', refused, token('2.0', { aud: `api://${appId}` })],
    ['for a list', refused, token('2.0', { aud: [appId] })],
    ['for nobody', stricter('a token for nobody is not for us'), token('2.0', { aud: undefined })],
    ['signed by the channel', refused, token('2.0', {}, { key: 'channel' })],
    ['signed by a key without endorsements of the channel', refused, token('2.0', {}, { key: 'bare' })],
    ['alg none', refused, token('2.0', {}, { alg: 'none' })],
    ['HS256 with the public key as the secret', refused, token('2.0', {}, { alg: 'HS256' })],
    ['RS512', stricter('Entra signs with RS256 and nothing else'), token('2.0', {}, { alg: 'RS512' })],
    ['no kid', refused, token('2.0', {}, { header: { kid: undefined } })],
    ['of the tenant of old Emulators', stricter('today every Emulator speaks out of the tenant of its bot'), token('1.0', {}, { tenant: emulatorTenant })],
    ['that says the channel issued it', refused, token('2.0', { iss: 'https://api.botframework.com' })],
  ].map(([name, verdict, jwt, change]) => [`Entra: ${name}`, verdict, [`Bearer ${jwt}`], change]);
}
