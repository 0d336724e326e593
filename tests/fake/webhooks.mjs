// Webhook deliveries: GitHub's published example payloads with this state's repository, issue, people in them, signed.
import { createHmac, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import * as shapes from './shapes.mjs';

const require = createRequire(import.meta.url);
const published = require('@octokit/webhooks-examples/api.github.com/index.json');

// The first published example of an event and action (one with a label where the action is about one).
function exampleOf(event, action) {
    const all = published.find((each) => each.name === event)?.examples ?? [];
    const found = all.filter((each) => each.action === action);
    const best = found.find((each) => !action?.endsWith('labeled') || each.label) ?? found[0];
    if (!best) throw new Error(`no published example of ${event} ${action}`);
    return structuredClone(best);
}

/** The payload: the example, then the members of `facts` in their places (objects are merged one level deep). */
export function payloadOf(gh, event, action, repo, sender, facts) {
    const { organization, enterprise, changes, ...base } = exampleOf(event, action);
    const payload = {
        ...base,
        sender: { ...base.sender, ...shapes.user(gh, sender) },
        ...(repo && { repository: { ...base.repository, ...shapes.repository(gh, repo) } }),
    };
    for (const [name, value] of Object.entries(facts))
        payload[name] = isObject(value) && isObject(base[name]) ? { ...base[name], ...value } : value;
    if (payload.issue && !payload.issue.pull_request) delete payload.issue.pull_request;
    if (repo?.installation && gh.has('apps'))
        payload.installation = { id: repo.installation, node_id: `I_${repo.installation}` };
    else delete payload.installation;
    return payload;
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

export const sign = (secret, body) => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

/** Sends bytes as GitHub's hook sender does. `changed` replaces headers (undefined removes one). */
export async function send({ url, secret, app }, event, body, id = randomUUID(), changed = {}) {
    const headers = {
        Accept: '*/*',
        'Content-Type': 'application/json',
        'User-Agent': 'GitHub-Hookshot/044aadd',
        'X-GitHub-Delivery': id,
        'X-GitHub-Event': event,
        'X-GitHub-Hook-ID': '292430182',
        'X-GitHub-Hook-Installation-Target-ID': String(app),
        'X-GitHub-Hook-Installation-Target-Type': 'integration',
        'X-Hub-Signature-256': sign(secret, body),
        ...changed,
    };
    for (const name of Object.keys(headers)) if (headers[name] === undefined) delete headers[name];
    const answer = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(10_000) });
    return { status: answer.status, text: await answer.text() };
}
