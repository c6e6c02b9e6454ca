// What Microsoft's validator and Herald are both asked: who calls, and for which activity. A case is
// [name, verdict, Authorization headers, changes to the activity].
import { makeKey } from './authority.mjs';

/** Both let it in; both turn it away. */
export const accepted = { status: 200, agree: true };
export const refused = { status: 401, agree: true };
/** Herald turns away what Microsoft's validator lets in, and says why it should. */
export const stricter = (reason, status = 401) => ({ status, agree: false, reason });
/** Herald lets in what Microsoft's validator turns away: only by decision. */
export const laxer = (reason) => ({ status: 200, agree: false, reason });

/** The keys that the cases need. All are published before the first question: the validators keep what they got. */
export function publishKeys(authority) {
  authority.addKey('otherChannel', { endorsements: ['skype', 'webchat'] });
  authority.addKey('manyChannels', { endorsements: ['msteams', 'skype', 'emulator', 'directline'] });
  authority.addKey('bare', {});
  authority.addKey('empty', { endorsements: [] });
  authority.addKey('text', { endorsements: 'msteams' });
  authority.addKey('short', { bits: 1024, endorsements: ['msteams'] });
  authority.addKey('curve', { type: 'ec', endorsements: ['msteams'] });
}

const pad = (part) => part + '='.repeat((4 - (part.length % 4)) % 4);
/** The last letter of a 2048 bit signature has four bits to spare: another letter, the same bytes. */
const sameSignature = (token) => token.slice(0, -1) + { A: 'B', Q: 'R', g: 'h', w: 'x' }[token.at(-1)];
const parts = (token, change) => change(...token.split('.'));

export function headerCases({ good, bad }) {
  const anyCase = 'RFC 9110: the name of a scheme has no case';
  return [
    ['a good channel token', accepted, [`Bearer ${good}`]],
    ['no header', refused, []],
    ['an empty header', refused, ['']],
    ['only spaces', refused, ['   ']],
    ['Basic', refused, ['Basic aGVyYWxkOmhlcmFsZA==']],
    ['Basic with a good token', refused, [`Basic ${good}`]],
    ['bearer in small letters', laxer(anyCase), [`bearer ${good}`]],
    ['BEARER in capitals', laxer(anyCase), [`BEARER ${good}`]],
    ['Bearer and nothing', refused, ['Bearer']],
    ['Bearer and a space', refused, ['Bearer ']],
    ['the token alone', refused, [good]],
    ['a colon after Bearer', refused, [`Bearer: ${good}`]],
    ['no space after Bearer', refused, [`Bearer${good}`]],
    ['two spaces after Bearer', refused, [`Bearer  ${good}`]],
    ['a tab after Bearer', refused, [`Bearer\t${good}`]],
    ['spaces before and after, which HTTP takes away', accepted, [`  Bearer ${good} \t`]],
    ['the token in quotation marks', refused, [`Bearer "${good}"`]],
    ['two tokens', refused, [`Bearer ${good} ${good}`]],
    ['two tokens with a comma', refused, [`Bearer ${good},${good}`]],
    ['two credentials with a comma', refused, [`Bearer ${good}, Bearer ${good}`]],
    ['two headers, the first good', stricter('node drops the second header, another server might drop the first'), [`Bearer ${good}`, `Bearer ${bad}`]],
    ['two headers, the second good', refused, [`Bearer ${bad}`, `Bearer ${good}`]],
    ['two headers, both good', stricter('a request has one caller'), [`Bearer ${good}`, `Bearer ${good}`]],
    ['a space inside the token', refused, [`Bearer ${good.slice(0, 40)} ${good.slice(40)}`]],
    ['a letter beyond ASCII', refused, [`Bearer ${good}\u00e9`]],
  ];
}

/** Whether it is a JWT at all, and whether its signature is one of ours. */
export function signatureCases(authority, { good, serviceurl }) {
  const token = (how, claims) => authority.channelToken({ serviceurl, ...claims }, how);
  const stranger = makeKey({ kid: authority.keys.get('channel').kid });
  const { kid } = stranger;
  const jwk = stranger.publicKey.export({ format: 'jwk' });
  const jku = `${authority.url}/elsewhere`;
  const onlyRs256 = 'the channel signs with RS256 and nothing else';
  return [
    ['alg none', refused, token({ alg: 'none' })],
    ['alg none in capitals', refused, token({ alg: 'none', header: { alg: 'NONE' } })],
    ['alg none over an RS256 signature', refused, token({ header: { alg: 'none' } })],
    ['no alg', refused, token({ header: { alg: undefined } })],
    ['alg null', refused, token({ header: { alg: null } })],
    ['alg in small letters', refused, token({ header: { alg: 'rs256' } })],
    ['HS256 with the public key as the secret', refused, token({ alg: 'HS256' })],
    ['HS256 over an RS256 signature', refused, token({ header: { alg: 'HS256' } })],
    ['RS384', stricter(onlyRs256), token({ alg: 'RS384' })],
    ['RS512', stricter(onlyRs256), token({ alg: 'RS512' })],
    ['RS512 that calls itself RS256', refused, token({ alg: 'RS512', header: { alg: 'RS256' } })],
    ['PS256', refused, token({ alg: 'PS256' })],
    ['PS256 that calls itself RS256', refused, token({ alg: 'PS256', header: { alg: 'RS256' } })],
    ['ES256 by a key that is published', refused, token({ alg: 'ES256', key: 'curve' })],
    ['ES256 with the kid of an RSA key', refused, token({ alg: 'ES256', key: 'curve', header: { kid } })],
    ['RS256 with the kid of an EC key', refused, token({ header: { kid: authority.keys.get('curve').kid } })],
    ['a key of 1024 bits', stricter('such keys have been too short since 2013'), token({ key: 'short' })],
    ['another key under a known kid', refused, token({ key: stranger })],
    ['another key under a known kid, enclosed', refused, token({ key: stranger, header: { jwk } })],
    ['a key nobody publishes', refused, token({ key: makeKey() })],
    ['a key nobody publishes, said to be elsewhere', refused, token({ key: makeKey(), header: { jku, x5u: jku } })],
    ['a key of Entra', refused, token({ key: 'entra' })],
    ['no kid', refused, token({ header: { kid: undefined } })],
    ['kid null', refused, token({ header: { kid: null } })],
    ['kid empty', refused, token({ header: { kid: '' } })],
    ['kid a list', refused, token({ header: { kid: [kid] } })],
    ['kid in capitals', refused, token({ header: { kid: kid.toUpperCase() } })],
    ['no typ and no x5t', accepted, token({ header: { typ: undefined, x5t: undefined } })],
    ['a header of its own', accepted, token({ header: { nonce: 'a', cty: 'b' } })],
    ['crit', stricter('RFC 7515: who does not know a critical header refuses the token'), token({ header: { crit: ['exp'], exp: 1 } })],
    ['alg twice, the second RS256', stricter('a name twice has no meaning'), token({ header: `{"alg":"none","alg":"RS256","kid":"${kid}"}` })],
    ['no signature', refused, parts(good, (header, claims) => `${header}.${claims}.`)],
    ['two parts', refused, parts(good, (header, claims) => `${header}.${claims}`)],
    ['one part', refused, parts(good, (header) => header)],
    ['only dots', refused, '..'],
    ['four parts', refused, `${good}.x`],
    ['five parts, as an encrypted token has', refused, `${good}.x.y`],
    ['an empty JOSE header', refused, parts(good, (_, ...rest) => ['', ...rest].join('.'))],
    ['a letter more', refused, `${good}A`],
    ['five letters more', refused, `${good}AAAAA`],
    ['padding after the signature', refused, pad(good)],
    ['padding after the claims', refused, parts(good, (header, claims, sign) => `${header}.${pad(`${claims}A`)}.${sign}`)],
    ['a percent sign', refused, good.replace('.', '%2E')],
    ['another letter for the same signature', stricter('one token has one spelling'), sameSignature(good)],
  ].map(([name, verdict, jwt]) => [name, verdict, [`Bearer ${jwt}`]]);
}
