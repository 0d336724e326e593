// node instants.mjs [--instants 200] [--seed 1] [--round 16] [--gap 0.75]: whole runs under kill -9 at that many random instants. What
// does not hold afterwards is printed, with the seed, and the log kept in TMPDIR/assay-fault-SEED.log; exit status 1.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { world } from '../flow/harness.mjs';
import { atRest, audit } from './audit.mjs';
import { dice, newLedger, round } from './kill.mjs';

const { values } = parseArgs({
    options: {
        instants: { type: 'string', default: '200' },
        seed: { type: 'string', default: '1' },
        gap: { type: 'string', default: '0.75' },
        round: { type: 'string', default: '16' },
    },
});
const [instants, seed, perRound, gap] = [values.instants, values.seed, values.round, values.gap].map(Number);

const last = [];
const w = await world({ after: (deed) => last.push(deed) }, {
    lenient: true, // audit() looks at what the fakes complain about
    config: ({ models }) => ({
        workers: 2,
        catch_up: { deliveries: '2s' },
        models: models.map((one) => ({ ...one, stall: '60s' })), // the fakes share the machine with what dies
    }),
});
const roll = dice(seed);
const ledger = newLedger();
let failed = false;
try {
    for (let done = 0; done < instants && !failed; done += perRound) {
        await round(w, roll, Math.min(perRound, instants - done), ledger, gap);
        await atRest(w);
        const found = await audit(w, ledger.issues, ledger.helps);
        failed = found.length > 0;
        console.log(
            `seed ${seed}, ${Math.min(done + perRound, instants)} instants, ${ledger.issues.length} jobs: ${failed ? found.join('\n  ') : 'all is well'}`,
        );
    }
} catch (error) {
    failed = true;
    console.log(error.message);
}
console.log(`killed: ${JSON.stringify(ledger.killed)}; deliveries: ${w.gh.deliveries.length}; jobs: ${ledger.issues.length}`);
if (failed) writeFileSync(`${tmpdir()}/assay-fault-${seed}.log`, w.assay.log);
for (const deed of last) await deed();
process.exit(failed ? 1 : 0);
