// Tokens that nobody thought of: good ones, changed at random, by the same choices on every run.

/** Mulberry32: small, and good enough to choose letters with. */
function chance(seed) {
  const next = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end) => Math.floor(next() * end);
  const pick = (list) => list[below(list.length)];
  const shuffle = (list) => list.map((item) => [next(), item]).sort(([a], [b]) => a - b).map(([, item]) => item);
  return { below, pick, shuffle };
}

const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', ...'+/=.,;%~! "\'{}'];

/** One to three places of a token in another way; each part gets its share, though the signature is the longest. */
function spoil(random, token) {
  const parts = token.split('.');
  for (let times = 1 + random.below(3); times > 0; times -= 1) {
    const [which, insert, remove] = [random.below(3), random.below(4), random.below(4)];
    const at = random.below(parts[which].length + 1);
    const inserted = Array.from({ length: insert }, () => random.pick(letters)).join('');
    parts[which] = parts[which].slice(0, at) + inserted + parts[which].slice(at + remove);
  }
  return parts.join('.');
}

// Neither capitals nor a slash more: where Herald takes these for the same, the table says so.
const strange = (value) => [
  undefined, null, true, 0, -1, 1e300, '', ' ', [], {}, [value], { value }, [value, value], `${value} `, `${value}/x`,
  `${value}`.slice(1), String(value), Number(value) + 0.25,
];

/** Other claims or another header, well signed: what a service would have to have made. */
function distort(random, content) {
  const changed = Object.fromEntries(random.shuffle(Object.entries(content)));
  for (let times = 1 + random.below(2); times > 0; times -= 1) {
    const [name, other] = [random.pick(Object.keys(changed)), random.pick(Object.keys(changed))];
    random.pick([
      () => (changed[name] = random.pick(strange(changed[name]))),
      () => ([changed[name], changed[other]] = [changed[other], changed[name]]),
      () => (changed[random.pick([name.toUpperCase(), ` ${name}`, `${name}\u0000`])] = changed[name]),
      () => delete changed[name],
    ])();
  }
  return changed;
}

const decode = (part) => JSON.parse(Buffer.from(part, 'base64url'));

/** `count` of them out of `tokens`, each `{key, jwt}`; `sign` as the authority has it. */
export function mutations({ seed, count, tokens, sign }) {
  const random = chance(seed);
  return Array.from({ length: count }, () => {
    const { key, jwt } = random.pick(tokens);
    const [header, claims] = jwt.split('.').slice(0, 2).map(decode);
    return random.pick([
      () => spoil(random, jwt),
      () => sign(distort(random, claims), { key, header }),
      () => sign(claims, { key, header: JSON.stringify(distort(random, header)) }),
    ])();
  });
}
