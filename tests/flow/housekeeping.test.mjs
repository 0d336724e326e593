// What a power cut leaves, and what is let go of after a time.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { cannotRun, fenced, GOOD_TESTS, script, until, world } from './harness.mjs';

const run = promisify(execFile);
const options = { skip: cannotRun, timeout: 300_000 };

const namesIn = (folder) => (existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('.')) : []);

/** Processes and control groups that carry one of the names. */
async function traces(names) {
    const groups = await run('find', ['/sys/fs/cgroup', '-type', 'd', ...names.flatMap((name) => ['-name', `*${name}*`, '-o']).slice(0, -1)])
        .then(({ stdout }) => stdout, ({ stdout }) => stdout); // a group may go while it looks
    const { stdout: processes } = await run('ps', ['-eo', 'args']);
    return [...groups.split('\n'), ...processes.split('\n').filter((line) => names.some((name) => line.includes(name)))].filter(
        Boolean,
    );
}

test('kill -9 while a guest runs: the next start sweeps group, folder and workspace', options, async (t) => {
    const slow = `import time\n\ntime.sleep(45)\n${GOOD_TESTS}`;
    const w = await world(t, { model: script({ tests: fenced(slow) }), lenient: true });
    const runs = join(w.folder, 'state/sandbox');
    const work = join(w.folder, 'state/work');
    w.ask();
    await until('the model has written tests', () => w.model.requests.length > 0);
    const names = await until('a guest runs', () => {
        const found = namesIn(runs);
        return found.length && found;
    });
    await until('its group is there', async () => (await traces(names)).length > 0, 20_000);
    assert.deepEqual(namesIn(work), ['1-1']);
    await w.assay.killAll();
    assert.ok(names.every((name) => existsSync(join(runs, name))), 'nobody was there to tidy up');

    const config = JSON.parse(readFileSync(w.assay.file, 'utf8')); // without the job, which would tidy up, too
    writeFileSync(w.assay.file, JSON.stringify({ ...config, database: `sqlite://${w.folder}/state/another.db` }));
    await w.assay.start();
    await until('all is swept', () => namesIn(runs).length === 0 && namesIn(work).length === 0, 30_000);
    assert.deepEqual(await traces(names), []);
});

test('storage says what there is; tidy keeps what a pull request needs until it is closed', options, async (t) => {
    const w = await world(t, { config: { retention: { journal: '1ms', artifacts: '1ms', mirrors: '1ms' } } });
    w.ask();
    const pull = await w.pull();
    const { out } = await w.assay.command('storage', '--json');
    const sizes = JSON.parse(out);
    assert.ok(sizes.database.deliveries.count >= 2);
    assert.equal(sizes.database.artifacts.count, 1);
    assert.equal(sizes.state_dir.mirrors.count, 1);
    const tidied = JSON.parse((await w.assay.command('tidy', '--json')).out);
    assert.deepEqual([tidied.snapshots, tidied.artifacts, tidied.deliveries, tidied.mirrors], [0, 0, 0, 1]);

    w.gh.closePull(w.repo, pull, 'mia');
    await w.gh.settled();
    const later = await until('it is let go of', async () => {
        const report = JSON.parse((await w.assay.command('tidy', '--json')).out);
        return report.artifacts && report;
    });
    assert.ok(later.snapshots > 5);
    assert.equal((await w.assay.command('retry', '1')).status, 0, 'it can start afresh still');
});
