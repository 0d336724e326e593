// A running installation moves from SQLite to PostgreSQL: what waited is done there, once; what was done stays known.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { postgres } from '../fake/postgres.mjs';
import { cannotRun, command, PATIENCE, script, until, world } from './harness.mjs';

test('an installation moves to PostgreSQL and goes on', { skip: cannotRun, timeout: 600_000 }, async (t) => {
    const server = await postgres(null);
    if (!server) return t.skip('PostgreSQL is not installed');
    let answers = false;
    let asked = 0;
    const usual = script();
    const w = await world(t, {
        model: async (request) => {
            asked++;
            await until('the model may answer', () => answers, 60_000);
            return usual(request);
        },
        lenient: true, // a model that is asked when the power goes out complains
    });
    t.after(server.end); // after the program that uses it
    const sqlite = `sqlite://${join(w.folder, 'state/assay.db')}`;
    const migrate = (...more) =>
        command(w.folder, ['migrate', '--from', sqlite, '--to', server.url, ...more], w.assay.environment);
    w.ask();
    await until('the job is at work', () => asked > 0);

    const refused = await migrate();
    assert.notEqual(refused.status, 0);
    assert.match(refused.err, /another process uses database .*; stop `assay serve`/);

    await w.assay.killAll();
    answers = true;
    const moved = await migrate('--json');
    assert.equal(moved.status, 0, moved.err);
    const tables = Object.fromEntries(JSON.parse(moved.out).tables.map((one) => [one.table, one]));
    assert.equal(tables.job.rows, 1);
    assert.ok(tables.delivery.rows >= 2);
    assert.match(tables.stage.digest, /^[0-9a-f]{64}$/);

    writeFileSync(
        w.assay.file,
        JSON.stringify({ ...JSON.parse(readFileSync(w.assay.file, 'utf8')), database: server.url }),
    );
    await w.assay.start();
    await w.ended(1, 2 * PATIENCE); // the dead worker's lease has to pass first
    await w.pull();
    for (const delivery of w.gh.deliveries) w.gh.sendAgain(delivery);
    await w.gh.settled();
    const [job, ...others] = await w.assay.jobs();
    assert.deepEqual([job.id, job.outcome, others], [1, 'proven', []]);
});
