import { test } from 'node:test';
import { writeFileSync } from 'node:fs';
import { startCosmos } from './cosmos.mjs';
import { startHerald, startConnector, until } from './herald.mjs';
import { gather, notify, completed, arrivals } from './crowd.mjs';
const throughput = Number(process.env.RUS) || undefined, people = Number(process.env.PEOPLE ?? 300), tenants = Number(process.env.TEN ?? 3);
test('x', {timeout: 200000}, async () => {
  const cosmos = await startCosmos({throughput});
  const connector = await startConnector();
  const herald = await startHerald({ env: { ...cosmos.env, HERALD_SCHEDULE: '* * * * * *', RUST_LOG: process.env.LOG ?? 'info,herald=debug' } });
  await until(async () => (await fetch(herald.url + '/api/health')).ok);
  const scene = { cosmos, connector, herald };
  try {
  let t = Date.now();
  await gather(scene, { people, tenants, workers: Number(process.env.W ?? 16) });
  console.log('gathered', Date.now() - t); t = Date.now();
  await notify(scene, 'n');
  const s = await completed(scene, 'n', 60000);
  console.log('completed', Date.now() - t, JSON.stringify(s), arrivals(scene, 'n').length);
  } finally { writeFileSync('/tmp/sc/herald.log', herald.log()); }
});
