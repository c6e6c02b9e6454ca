// Timer functions: a plain reading of six-field schedules, and the loop that fires them.
const FIELDS = ['Seconds', 'Minutes', 'Hours', 'Date', 'Month', 'Day'];
const NEVER = '0001-01-01T00:00:00+00:00';

// The next instant after `from` that a schedule names. Fields may be `*`, `*/N` or a number; lists, ranges and names are not known here.
export function nextOccurrence(schedule, from) {
  const fields = schedule.trim().split(/\s+/);
  if (fields.length === 5) fields.unshift('0');
  if (fields.length !== 6) throw new Error(`schedule '${schedule}' has not six fields`);
  const tests = fields.map((field, index) => {
    const [, step, number] = /^(?:\*(?:\/(\d+))?|(\d+))$/.exec(field) ?? [];
    if (!/^\*/.test(field) && number === undefined) throw new Error(`schedule '${schedule}' needs more than this host knows`);
    const shift = index === 4 ? 1 : 0; // getUTCMonth starts at 0
    return (at) => {
      const value = at[`getUTC${FIELDS[index]}`]() + shift;
      return number !== undefined ? value === Number(number) : value % Number(step ?? 1) === 0;
    };
  });
  const at = new Date(Math.floor(from.getTime() / 1000) * 1000);
  for (let seconds = 0; seconds < 86_400; seconds += 1) {
    at.setTime(at.getTime() + 1000);
    if (tests.every((test) => test(at))) return at;
  }
  throw new Error(`schedule '${schedule}' names nothing within a day`);
}

const offset = (at, digits) => at.toISOString().replace(/\.(\d+)Z$/, digits ? '.$10000+00:00' : '+00:00');

/** `Data` of a timer invocation. `last` is the run before, null for none; more often than once a minute nothing is monitored. */
export function timerData({ schedule, useMonitor = true }, { last = null, now = new Date(), pastDue = false } = {}) {
  const next = nextOccurrence(schedule, last ?? now);
  const monitored = useMonitor && nextOccurrence(schedule, next) - next >= 60_000;
  const seen = last ? offset(last, true) : NEVER;
  const status = monitored ? { Last: seen, Next: offset(next, false), LastUpdated: seen } : null;
  return { Schedule: { AdjustForDST: true }, ScheduleStatus: status, IsPastDue: pastDue };
}

/** Fires `run(data)` at every occurrence; never twice at once, and a failed run waits for the next occurrence. */
export function startTimer(trigger, run) {
  let handle = null;
  let stopped = false;
  let last = null;
  let due = new Date();
  const arm = () => {
    if (stopped) return;
    // From the later of the two: a timer may fire a millisecond early, and must not fire twice for it.
    due = nextOccurrence(trigger.schedule, new Date(Math.max(due.getTime(), Date.now())));
    handle = setTimeout(async () => {
      const data = timerData(trigger, { last, now: new Date(due.getTime() - 1000) });
      last = new Date();
      await run(data).catch(() => {});
      arm();
    }, due.getTime() - Date.now());
  };
  arm();
  return () => {
    stopped = true;
    clearTimeout(handle);
  };
}
