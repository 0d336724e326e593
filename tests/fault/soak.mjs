// Mixed traffic with faults, for as long as is asked: node soak.mjs [--seconds 120] [--seed 1] [--kill 20] [--rest 120].
// People ask, comment, cancel; GitHub and the model stumble; strangers knock; something dies every `kill` seconds; then
// the jobs that run have `rest` seconds to end. Meant for a build with sanitizers (ASSAY_BINARY): what they complain
// about fails it, as does a delivery that was acknowledged and is lost, a second pull request, a damaged database. A few
// lines at the end say what went on.
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { fenced, GOOD_CODE, GOOD_TESTS, until, wait, world } from '../flow/harness.mjs';
import { rows } from './audit.mjs';
import { dice, killOne, newLedger, pick } from './kill.mjs';

const { values } = parseArgs({
    options: {
        seconds: { type: 'string', default: '120' },
        seed: { type: 'string', default: '1' },
        kill: { type: 'string', default: '20' },
        every: { type: 'string', default: '6' },
        rest: { type: 'string', default: '120' },
    },
});
const [seconds, seed, killEvery, askEvery] = [values.seconds, values.seed, values.kill, values.every].map(Number);
const roll = dice(seed);
const counts = {};
const count = (what) => void (counts[what] = (counts[what] ?? 0) + 1);

const good = { tests: fenced(GOOD_TESTS), implement: fenced(GOOD_CODE), repair: fenced(GOOD_CODE) };
const stumbles = [
    { status: 429, headers: { 'retry-after': '1' } },
    { status: 500 },
    { status: 503 },
    { end: 'reset' },
    { end: 'half' },
    { text: 'I would rather talk about the weather.' },
    { text: '```python\nimport os, no_such_thing\n```' },
    { text: 'x'.repeat(200_000) },
    { text: '' },
];

/** One answer in seven is none that helps. */
function model({ role }) {
    if (roll() > 1 / 7) return good[role];
    count('model stumbled');
    const stumble = pick(roll, stumbles);
    return { text: good[role], ...stumble };
}

const forgeFaults = [
    { status: 500 },
    { status: 502, body: '<html>Bad Gateway</html>', headers: { 'content-type': 'text/html' } },
    { status: 403, body: { message: 'API rate limit exceeded' }, headers: { 'retry-after': '1' } },
    { status: 401, body: { message: 'Bad credentials' } },
    { end: 'reset' },
    { end: 'half' },
    { end: 'reset', applied: true },
    { status: 500, applied: true },
];

const deeds = {
    ask: (w, ledger) => ledger.issues.push(w.ask({ title: `Slugs, wish ${w.repo.nextNumber}` })),
    help: (w, ledger) => say(w, ledger, '/help'),
    status: (w, ledger) => say(w, ledger, '/status'),
    stranger: (w, ledger) => say(w, ledger, '/generate', 'eve'),
    talk: (w, ledger) => say(w, ledger, 'Nice. `/help` is how one asks.'),
    cancel: (w, ledger) => say(w, ledger, '/cancel'),
    'forge stumbles': (w) => w.gh.fault({ match: pick(roll, ['POST ', 'PATCH ', 'GET ', 'GIT ']), ...pick(roll, forgeFaults) }),
    'tokens expire': (w) => w.gh.expireTokens(),
    'wrong signature': (w) => knock(w, '{"action":"opened"}', { 'X-Hub-Signature-256': `sha256=${'0'.repeat(64)}` }),
    'not JSON': (w) => knock(w, '{"action":', {}),
    'another event': (w) => knock(w, JSON.stringify({ action: 'created', x: 'y'.repeat(100_000) }), { 'X-GitHub-Event': 'star' }),
    again: (w) => {
        const sent = w.gh.deliveries.filter((one) => one.status === 202);
        if (sent.length) w.gh.sendAgain(pick(roll, sent));
    },
};

function say(w, ledger, text, who = 'mia') {
    if (ledger.issues.length) w.gh.addComment(w.repo, pick(roll, ledger.issues.slice(-6)), text, who);
}

function knock(w, body, changed) {
    const delivery = { id: `soak-${roll()}`, event: 'issues', body, status: null };
    return w.gh.redeliver(delivery, changed);
}

/** Proportional set sizes in MiB, by role. */
function memory(w) {
    const found = {};
    for (const { pid, argv } of w.assay.processes()) {
        if (!argv[0]?.includes('assay') || argv[1] === 'job') continue;
        try {
            found[argv[1]] = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;
        } catch {
            continue; // it has just ended
        }
    }
    return found;
}

const complaints = (log) =>
    log.split('\n').filter((line) => /ERROR: \w+Sanitizer|runtime error:/.test(line));

const open = async (w) => (await rows(w, "SELECT id FROM job WHERE state IN ('queued', 'running')")).length;

const last = [];
const w = await world({ after: (deed) => last.push(deed) }, {
    model,
    lenient: true,
    config: { workers: 2, catch_up: { deliveries: '5s' }, limits: { repair_rounds: 1 } },
    start: false,
});
Object.assign(w.assay.environment, { UBSAN_OPTIONS: 'print_stacktrace=1', ASAN_OPTIONS: 'detect_leaks=1' });
await w.assay.start();
const ledger = newLedger();
const end = Date.now() + seconds * 1000;
let [nextAsk, nextKill, nextLook] = [0, Date.now() + killEvery * 1000, Date.now() + 3000];
const seen = [];
let failure = '';
try {
    while (Date.now() < end) {
        if (Date.now() >= nextAsk && (await open(w)) <= 6) {
            deeds.ask(w, ledger);
            count('ask');
            nextAsk = Date.now() + askEvery * 1000 * (0.5 + roll());
        }
        const deed = pick(roll, Object.keys(deeds).filter((name) => name !== 'ask' && (name !== 'cancel' || roll() < 0.2)));
        await deeds[deed](w, ledger);
        count(deed);
        if (killEvery && Date.now() >= nextKill) {
            count(`killed: ${await killOne(w, pick(roll, ['everything', 'receiver', 'dispatch', 'work', 'job', 'runner']), roll, ledger.died)}`);
            nextKill = Date.now() + killEvery * 1000 * (0.5 + roll());
        }
        if (Date.now() >= nextLook) {
            seen.push({ at: Math.round((Date.now() - end) / 1000 + seconds), ...memory(w) });
            nextLook = Date.now() + 10_000;
        }
        await wait(300 + roll() * 1500);
    }
    w.gh.faults.length = 0;
    const idle = async () => (await wait(500), await rows(w, "SELECT id FROM job WHERE state = 'running'")).length === 0;
    await until('', idle, 1000 * Number(values.rest)).catch(() => count('still running')); // what waits for a try may go on waiting
} catch (error) {
    failure = error.message;
}
const ends = await rows(w, 'SELECT state, outcome, count(*) AS n FROM job GROUP BY state, outcome');
const known = new Set((await rows(w, 'SELECT id FROM delivery')).map((one) => one.id));
const lost = w.gh.deliveries.filter((one) => one.status === 202 && !known.has(one.id));
const pulls = new Map();
for (const pull of w.gh.pulls(w.repo)) pulls.set(pull.title + pull.pull.head, (pulls.get(pull.title + pull.pull.head) ?? 0) + 1);
const twice = [...pulls].filter(([, n]) => n > 1);
await w.assay.stop().catch((error) => (failure ||= error.message));
const found = complaints(w.assay.log);
const [{ integrity_check: state }] = await rows(w, 'PRAGMA integrity_check');
console.log(`${seconds} s, seed ${seed}: ${JSON.stringify(counts)}`);
console.log(`deliveries ${w.gh.deliveries.length}; jobs ${ends.map((one) => `${one.state} ${one.outcome} ${one.n}`).join(', ')}; database ${state}`);
for (const one of [seen[0], seen[Math.floor(seen.length / 2)], seen.at(-1)]) console.log(`memory ${JSON.stringify(one)}`);
const wrong = [...found, ...lost.map((one) => `lost: ${one.id}`), ...twice.map(([name]) => `twice: ${name}`), ...w.gh.violations];
if (failure) wrong.push(failure);
if (state !== 'ok') wrong.push(`database: ${state}`);
console.log(wrong.length ? wrong.slice(0, 20).join('\n') : 'no complaint');
if (wrong.length) writeFileSync(`${tmpdir()}/assay-soak-${seed}.log`, w.assay.log);
for (const deed of last) await deed();
process.exit(wrong.length ? 1 : 0);
