// A short number of what tests/fault does at length: whole runs while processes die, and what must hold afterwards.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atRest, audit } from '../fault/audit.mjs';
import { crashableWorld, dieThroughOneJob } from '../fault/boundaries.mjs';
import { dice, newLedger, round } from '../fault/kill.mjs';
import { cannotRun, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: 600_000 };

test('the power goes out after every fourth commit of a job', options, async (t) => {
    const w = await crashableWorld(t);
    const { issue, places } = await dieThroughOneJob(w, { first: 3, gap: 4 });
    t.diagnostic(places.join('; '));
    await atRest(w);
    assert.deepEqual(await audit(w, [issue]), []);
    assert.ok(places.length >= 8, `only ${places.length} deaths`);
});

test('the power goes out before a request is noted, and after', options, async (t) => {
    const w = await crashableWorld(t);
    const issues = [];
    for (const [first, after] of [
        [1, false],
        [1, true],
    ]) {
        const { issue, places } = await dieThroughOneJob(w, { role: 'dispatch', first, after, most: 1 });
        issues.push(issue);
        assert.deepEqual(places, [`dispatch: died ${after ? 'after' : 'before'} job_add`]);
    }
    await atRest(w);
    assert.deepEqual(await audit(w, issues), []);
});

test('kill -9 of whatever runs at 12 random instants', options, async (t) => {
    const w = await world(t, { lenient: true, config: { catch_up: { deliveries: '2s' } } });
    const ledger = newLedger();
    await round(w, dice(1), 12, ledger);
    await atRest(w);
    t.diagnostic(JSON.stringify(ledger.killed));
    assert.deepEqual(await audit(w, ledger.issues, ledger.helps), []);
});
