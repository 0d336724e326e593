// The power goes out at every boundary of the journal: before or after each commit of the store, of each role.
//     node boundaries.mjs [--gap 4] [--before] [--database sqlite|postgresql] [--roles job,dispatch,work]
// One job dies at its commits 1, 5, 9 …, the next at 2, 6, 10 …: `gap` jobs are as many whole runs. A gap below four makes
// no progress: a stage that begins, asks a model twice and dies before its end begins again. With --before it is five.
import { parseArgs } from 'node:util';
import { postgres } from '../fake/postgres.mjs';
import { PATIENCE, until, wait, world } from '../flow/harness.mjs';
import { atRest, audit, rows } from './audit.mjs';
import { Crasher } from './crash.mjs';

/** A world whose processes can be told to die. */
export async function crashableWorld(t, options = {}) {
    const w = await world(t, { lenient: true, ...options, start: false });
    w.crasher = new Crasher(w.folder);
    Object.assign(w.assay.environment, w.crasher.environment);
    await w.assay.start();
    return w;
}

const ATTEMPTS = 18; // a job that was started twenty times is given up
const STUCK = 4;

async function whereDied(w) {
    const at = w.crasher.log().at(-1);
    const [stage] = await rows(w, 'SELECT stage, status FROM stage ORDER BY id DESC LIMIT 1');
    return `${at.role}: ${at.end} ${at.statement}${stage && at.role === 'job' ? ` (${stage.stage} ${stage.status})` : ''}`;
}

/** One job that dies again and again, at its commits `first`, `first + gap`, …; gives where: ["job: died after …", …]. */
export async function dieThroughOneJob(w, { role = 'job', first = 0, after = true, gap = after ? 4 : 5, most = ATTEMPTS } = {}) {
    const places = [];
    const has = (pid) => w.assay.child.pid === pid && w.assay.child.signalCode !== null;
    const plan = (left) => w.crasher.plan(left, { role, after, whole: w.assay.child.pid });
    plan(first);
    w.crasher.forget();
    const issue = w.ask({ title: `Slugs, wish ${w.repo.nextNumber}` });
    const over = async () => (await rows(w, `SELECT state FROM job WHERE number = ${issue.number} AND state = 'done'`)).length > 0;
    for (;;) {
        const { pid } = w.assay.child;
        await until('it dies, or the job has ended', async () => has(pid) || (await wait(200), await over()), 5 * PATIENCE);
        await wait(300); // what was about to die after the end
        if (!has(pid)) break;
        places.push(await whereDied(w));
        if (places.length >= STUCK && new Set(places.slice(-STUCK)).size === 1)
            throw new Error(`${places.at(-1)}, ${STUCK} times: with a gap of ${gap} the job does not get on`);
        await w.assay.killAll();
        await w.assay.start();
        plan(places.length < most ? gap - 1 : -1);
    }
    w.crasher.plan(-1);
    return { issue, places };
}

async function main() {
    const { values } = parseArgs({
        options: {
            gap: { type: 'string' },
            before: { type: 'boolean', default: false },
            database: { type: 'string', default: 'sqlite' },
            roles: { type: 'string', default: 'job,dispatch,work' },
        },
    });
    const roles = values.roles.split(',');
    const after = !values.before;
    const gap = Number(values.gap ?? (after ? 4 : 5));
    const last = [];
    const t = { after: (deed) => last.push(deed) };
    const server = values.database === 'postgresql' ? await postgres(t) : null;
    const w = await crashableWorld(t, server ? { config: { database: server.url } } : {});
    const issues = [];
    let failed = false;
    const plans = Array.from({ length: gap }, (_, first) => ({ role: 'job', first, gap, after }));
    for (let first = 0; first < 6; first++) plans.push({ role: 'dispatch', first, gap: 1, after, most: 1 });
    for (let first = 0; first < 2; first++) plans.push({ role: 'work', first, gap: 1, after, most: 1 });
    for (const plan of plans.filter((one) => roles.includes(one.role))) {
        const { issue, places } = await dieThroughOneJob(w, plan);
        issues.push(issue);
        await atRest(w);
        const found = await audit(w, issues);
        for (const place of places) console.log(`  ${place}`);
        console.log(`${plan.role}, from ${plan.first}: ${places.length} deaths, ${found.length ? found.join('\n  ') : 'all is well'}`);
        failed ||= found.length > 0;
        if (failed) break;
    }
    if (failed) console.log(w.assay.log);
    for (const deed of last.reverse()) await deed(); // the world before its server
    process.exit(failed ? 1 : 0);
}

if (process.argv[1]?.endsWith('boundaries.mjs')) await main();
