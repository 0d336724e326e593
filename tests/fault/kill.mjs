// kill -9 at instants drawn from a seed, of whatever runs then: a process of Assay, or all of it.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { until, wait } from '../flow/harness.mjs';
import { rows } from './audit.mjs';

/** Numbers from 0 to 1 that a seed decides: a 32-bit Weyl sequence, mixed. */
export function dice(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x9e3779b9) >>> 0;
        let x = state;
        x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
        x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
        return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
    };
}

export const pick = (roll, list) => list[Math.floor(roll() * list.length)];

const parentOf = (pid) => {
    try {
        return Number(/^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))[1]);
    } catch {
        return 0; // it has just ended
    }
};

/** Who can be killed now: [{role, pid, argv, job: its number}]. Below a job's process are its sandbox's runner, the runtime
 *  and the guests. */
function family(w) {
    const all = new Map(w.assay.processes().map((one) => [one.pid, { ...one, parent: parentOf(one.pid) }]));
    const isOurs = (one) => /(^|\/)assay/.test(one?.argv[0] ?? '');
    const isJob = (one) => isOurs(one) && one.argv[1] === 'job';
    return [...all.values()].map((one) => {
        let top = one;
        while (top && !(isJob(top) && !isJob(all.get(top.parent)))) top = all.get(top.parent);
        const inside = top && top !== one;
        const role = isOurs(one) ? (inside ? 'runner' : one.argv[1]) : basename(one.argv[0] ?? '') === 'runc' ? 'runtime' : 'guest';
        return { ...one, role, job: top?.argv[2] };
    });
}

// A job's own process may die once by itself, the second time it ends as needs-human; after what happens in the sandbox
// it waits before it is tried again, longer each time. So each happens to a job at most once.
function isSpared({ role, job, argv }, died) {
    if (argv.includes('--bury')) return true;
    const kind = role === 'job' ? 'job' : 'sandbox';
    return job !== undefined && died.has(`${kind} ${job}`);
}

async function findTarget(w, role, roll, died) {
    const end = Date.now() + (role === 'runtime' ? 3000 : 0); // one lives for a few milliseconds only
    for (;;) {
        const targets = family(w).filter((one) => one.role === role && !isSpared(one, died));
        if (targets.length) return pick(roll, targets);
        if (Date.now() >= end) return null;
        await wait(1);
    }
}

function strike(target) {
    try {
        process.kill(target.pid, 'SIGKILL');
        return true;
    } catch {
        return false; // it has ended by itself
    }
}

/** Kills one role's process; when none runs now, everything. Gives what was killed. */
export async function killOne(w, role, roll, died) {
    const target = await findTarget(w, role, roll, died);
    if (target && strike(target)) {
        if (target.job) died.add(`${role === 'job' ? 'job' : 'sandbox'} ${target.job}`);
        return role;
    }
    await w.assay.killAll();
    await w.assay.start();
    return 'everything';
}

const ROLES = ['everything', 'everything', 'receiver', 'dispatch', 'work', 'job', 'runtime', 'runner', 'catch-up'];

/** Asks for jobs, lets people speak, and kills `instants` times in between. One round of it; several rounds go on in one
 *  world, with one database. `gap`: seconds between them, in the mean. `ledger`: newLedger(), and what is to `note` each. */
export async function round(w, roll, instants, ledger, gap = 0.75) {
    const issues = [];
    const open = async () => (await rows(w, "SELECT id FROM job WHERE state IN ('queued', 'running')")).length;
    for (let i = 0; i < instants; i++) {
        if (issues.length < 2 || (await open()) < 2) {
            issues.push(w.ask({ title: `Slugs, wish ${w.repo.nextNumber}` }));
            ledger.issues.push(issues.at(-1));
        }
        if (roll() < 0.3) {
            const issue = pick(roll, issues);
            w.gh.addComment(w.repo, issue, '/help', 'mia');
            const known = ledger.helps.find((one) => one.issue === issue);
            if (known) known.count += 1;
            else ledger.helps.push({ issue, count: 1 });
        }
        await wait(50 + roll() * 2000 * gap);
        const role = await killOne(w, pick(roll, ROLES), roll, ledger.died);
        ledger.killed[role] = (ledger.killed[role] ?? 0) + 1;
        ledger.note?.({ killed: role });
    }
    await until('the receiver answers', () => fetch(`${w.assay.address}/readyz`).then((one) => one.ok, () => false), 40_000);
}

export const newLedger = () => ({ issues: [], helps: [], died: new Set(), killed: {} });
