// node instants.mjs [--instants 200] [--seed 1] [--round 16] [--gap 0.75]: whole runs under kill -9 at that many random
// instants, in rounds; after each, all comes to rest and is audited, also when it does not come to rest. What does not
// hold is printed, with the seed, and the log kept in TMPDIR/assay-fault-SEED.log; exit status 1. Each death and each
// audit is a line of TMPDIR/assay-fault-SEED.jsonl as it happens.
import { appendFileSync, writeFileSync } from 'node:fs';
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
const began = Date.now();
const seconds = () => Math.round((Date.now() - began) / 100) / 10;
const diary = `${tmpdir()}/assay-fault-${seed}.jsonl`;
const note = (line) => appendFileSync(diary, `${JSON.stringify({ at: seconds(), ...line })}\n`);
const ledger = { ...newLedger(), note };
writeFileSync(diary, '');

/** What does not hold after one more round. */
async function play(count) {
    const found = [];
    const wrong = (error) => void found.push(error.message);
    await round(w, roll, count, ledger, gap).catch(wrong);
    await atRest(w).catch(wrong);
    found.push(...(await audit(w, ledger.issues, ledger.helps).catch((error) => [error.message])));
    return found;
}

let failed = false;
for (let done = 0; done < instants && !failed; done += perRound) {
    const count = Math.min(perRound, instants - done);
    const found = await play(count);
    failed = found.length > 0;
    note({ instants: done + count, jobs: ledger.issues.length, found });
    console.log(
        `seed ${seed}, ${done + count} instants, ${ledger.issues.length} jobs, ${seconds()} s: ${failed ? found.join('\n  ') : 'all is well'}`,
    );
}
console.log(`killed: ${JSON.stringify(ledger.killed)}; deliveries: ${w.gh.deliveries.length}; jobs: ${ledger.issues.length}`);
if (failed) writeFileSync(`${tmpdir()}/assay-fault-${seed}.log`, w.assay.log);
for (const deed of last) await deed();
process.exit(failed ? 1 : 0);
