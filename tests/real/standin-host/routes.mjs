// Routes as in function.json: literals, `{name}`, `{name?}` and `{*rest}`. Constraints are not known here.

/** A route's segments, or an error that puts the function in error. */
export function parseRoute(route) {
  return route
    .split('/')
    .filter(Boolean)
    .map((text) => {
      const parameter = /^\{(\*?)([a-z]\w*)(\??)\}$/i.exec(text);
      if (parameter) return { name: parameter[2], rest: parameter[1] === '*', optional: parameter[3] === '?' };
      if (/[{}]/.test(text)) throw new Error(`route '${route}' needs more than this host knows`);
      return { literal: text.toLowerCase() };
    });
}

/** The parameters of a path that fits, else null. An absent optional one is null, as the real host sends it. */
export function matchRoute(segments, parts) {
  const params = {};
  let at = 0;
  for (const segment of segments) {
    if (segment.rest) {
      params[segment.name] = parts.slice(at).join('/') || null;
      at = parts.length;
    } else if (segment.literal !== undefined) {
      if (parts[at++]?.toLowerCase() !== segment.literal) return null;
    } else if (at < parts.length) params[segment.name] = parts[at++];
    else if (segment.optional) params[segment.name] = null;
    else return null;
  }
  return at >= parts.length ? params : null;
}

const weight = ({ segments }) => segments.map(({ literal, rest }) => (literal !== undefined ? '0' : rest ? '2' : '1')).join('');

/** The function that answers a method and path, and its parameters; a wrong method is as unknown as a wrong path. */
export function findFunction(functions, prefix, method, path) {
  const below = prefix ? `/${prefix.toLowerCase()}/` : '/';
  if (!path.toLowerCase().startsWith(below)) return null;
  const parts = path.slice(below.length).split('/').filter(Boolean).map(decode);
  const candidates = functions.filter(({ kind, methods }) => kind === 'http' && (!methods || methods.includes(method)));
  for (const fn of candidates.sort((one, other) => (weight(one) < weight(other) ? -1 : 1))) {
    const params = matchRoute(fn.segments, parts);
    if (params) return { fn, params };
  }
  return null;
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
