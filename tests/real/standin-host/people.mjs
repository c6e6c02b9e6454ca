// The people of the tests, and what Teams and Copilot send when they do something. Ids are invented.
const digits = (number) => String(number).padStart(12, '0');
export const BOT = { id: '28:bbbbbbbb-0000-0000-0000-000000000002', name: 'Herald' };
const START = Date.now() - 3_600_000;
let sent = 0;

/** Person `number`; the chats are theirs alone. */
export const person = (number, tenant = 0) => ({
  tenantId: `11111111-0000-0000-0000-${digits(tenant)}`,
  account: { id: `29:1Person${number}`, name: `Person ${number}`, aadObjectId: `aaaaaaaa-0000-0000-0000-${digits(number)}` },
  teamsChat: `a:1Chat${number}`,
  copilotChat: `19:copilot${number}@thread.v2`,
});

function activity(who, rest) {
  sent += 1;
  return {
    id: `${START + sent}`,
    timestamp: new Date(START + sent * 1000).toISOString(),
    channelId: 'msteams',
    locale: 'en-GB',
    from: who.account,
    recipient: BOT,
    ...rest,
    channelData: { tenant: { id: who.tenantId }, ...rest.channelData },
  };
}

const personal = (who) => ({ id: who.teamsChat, conversationType: 'personal', tenantId: who.tenantId });
const clientInfo = { type: 'clientInfo', locale: 'en-GB', country: 'GB', platform: 'Web', timezone: 'Europe/London' };

export const teamsMessage = (who, text = 'hi') =>
  activity(who, {
    type: 'message',
    text,
    textFormat: 'plain',
    conversation: personal(who),
    entities: [clientInfo],
    channelData: { source: { name: 'message' } },
  });

/** `action` is `add` or `remove`. */
export const installation = (who, action) =>
  activity(who, {
    type: 'installationUpdate',
    action,
    conversation: personal(who),
    entities: [{ type: 'clientInfo', locale: 'en-GB' }],
  });

export const copilotMessage = (who, text = 'hi') => ({
  ...activity(who, {
    type: 'message',
    text,
    textFormat: 'plain',
    conversation: { isGroup: true, conversationType: 'groupChat', tenantId: who.tenantId, id: who.copilotChat },
    entities: [
      { type: 'clientInfo', locale: 'en-us', timezone: 'Europe/Paris' },
      { type: 'ProductInfo', id: 'COPILOT' },
    ],
    channelData: { productContext: 'COPILOT' },
  }),
  from: { ...who.account, name: '' },
});
