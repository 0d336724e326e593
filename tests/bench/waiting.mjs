// What do jobs cost that wait for a slow model? Many issues at once; no answer comes until all of them have asked.
//
//     node waiting.mjs [--jobs 200] [--database sqlite|postgresql]
// ASSAY_BINARY names the program. Memory is the proportional set size (Pss) of all of its processes together.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { postgres } from '../fake/postgres.mjs';
import { SHOP, SPEC, until, world } from '../flow/harness.mjs';

const { values } = parseArgs({
    options: { jobs: { type: 'string', default: '200' }, database: { type: 'string', default: 'sqlite' } },
});
const jobs = Number(values.jobs);
const EACH = 50; // in one repository
const last = [];
const t = { after: (deed) => last.push(deed) };

/** {count, mib} for each role. */
function memory(w) {
    const found = {};
    for (const { pid, argv } of w.assay.processes())
        try {
            const role = argv[0].includes('assay') ? argv[1] : argv[0];
            const mib = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;
            const all = (found[role] ??= { count: 0, mib: 0 });
            all.count += 1;
            all.mib += mib;
        } catch {
            continue; // it has just ended
        }
    return found;
}

const server = values.database === 'postgresql' ? await postgres(t) : null;
const w = await world(t, {
    lenient: true,
    model: () => new Promise(() => {}), // never
    config: ({ models }) => ({
        workers: jobs,
        limits: { jobs_per_repository: EACH },
        catch_up: { deliveries: '0s' },
        models: models.map((one) => ({ ...one, stall: '1h', timeout: '2h' })),
        ...(server && { database: server.url }),
    }),
});
const began = Date.now();
for (let i = 0, repo = null; i < jobs; i++) {
    if (i % EACH === 0) {
        repo = await w.gh.addRepository(`octo/shop-${i / EACH}`, { seed: SHOP });
        w.gh.permit(repo, 'mia', 'write');
    }
    w.gh.openIssue(repo, { ...SPEC, title: `Slugs, wish ${i}`, user: 'mia', labels: ['assay'] });
}
await until(`${jobs} jobs wait`, () => w.model.requests.length >= jobs, 3600_000);
const found = memory(w);
const total = Object.values(found).reduce((sum, one) => sum + one.mib, 0);
for (const [role, { count, mib }] of Object.entries(found))
    console.log(`${role.padEnd(12)} ${String(count).padStart(4)} processes ${mib.toFixed(1).padStart(8)} MiB`);
console.log(`${values.database}: ${jobs} jobs wait for a model after ${Math.round((Date.now() - began) / 1000)} s: ${total.toFixed(0)} MiB in all`);
await w.assay.killAll();
for (const deed of last) await deed();
process.exit(0);
