// A short number of what tests/fault does at length: whole runs while processes die, and what must hold afterwards.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { atRest, audit, rows } from '../fault/audit.mjs';
import { crashableWorld, dieThroughOneJob } from '../fault/boundaries.mjs';
import { dice, newLedger, round } from '../fault/kill.mjs';
import { postgres } from '../fake/postgres.mjs';
import { binary, cannotRun, PATIENCE, script, until, wait, world } from './harness.mjs';

// GitHub sends nothing again by itself: what is refused while a database is away comes by the next look.
const often = { catch_up: { deliveries: '2s' } };
const options = { skip: cannotRun, timeout: Math.max(300_000, 5 * PATIENCE) };

test('the power goes out after every fourth commit of a job', options, async (t) => {
    const w = await crashableWorld(t);
    const { issue, places } = await dieThroughOneJob(w, { first: 3, gap: 4 });
    t.diagnostic(places.join('; '));
    await atRest(w);
    assert.deepEqual(await audit(w, [issue]), []);
    assert.ok(places.length >= 8, `only ${places.length} deaths`);
});

test('the power goes out while a request is noted', options, async (t) => {
    const w = await crashableWorld(t);
    const issues = [];
    for (const [first, after] of [
        [2, false],
        [1, true],
    ]) {
        const { issue, places } = await dieThroughOneJob(w, { role: 'dispatch', first, after, most: 1 });
        issues.push(issue);
        assert.equal(places.length, 1);
        assert.match(places[0], /^dispatch: died/);
    }
    await atRest(w);
    assert.deepEqual(await audit(w, issues), []);
});

test('kill -9 of whatever runs at 10 random instants', options, async (t) => {
    const w = await world(t, { lenient: true, config: often });
    const ledger = newLedger();
    await round(w, dice(1), 10, ledger);
    await atRest(w);
    t.diagnostic(JSON.stringify(ledger.killed));
    assert.deepEqual(await audit(w, ledger.issues, ledger.helps), []);
});

// ---- PostgreSQL ----

const slow = () => ({ text: 'x'.repeat(4000), slow: 1000 }); // long enough to be taken away

test('PostgreSQL dies and comes back, and its connections are cut, while a job runs', options, async (t) => {
    const server = await postgres(t);
    if (!server) return t.skip('PostgreSQL is not installed');
    const cut = () =>
        execFileSync('psql', [
            ...['-XAtq', '-d', server.url, '-c'],
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'assay'",
        ]);
    const hurts = { tests: [() => server.restart()], implement: [cut, () => server.restart()] };
    const w = await world(t, {
        lenient: true,
        config: { ...often, database: server.url },
        model: async (asked) => {
            await hurts[asked.role]?.shift()?.();
            return script()(asked);
        },
    });
    const receiver = w.assay.processes().find(({ argv }) => argv[1] === 'receiver');
    assert.equal(readFileSync(`/proc/${receiver.pid}/comm`, 'utf8'), 'assay receiver\n'); // not assay itself
    const issue = w.ask();
    await atRest(w);
    assert.deepEqual(hurts, { tests: [], implement: [] });
    assert.deepEqual(await audit(w, [issue]), []);
});

/** `assay work` as on another machine: a state directory of its own. */
function anotherMachine(t, w, name) {
    const config = { ...JSON.parse(readFileSync(w.assay.file, 'utf8')), workers: 1, state_dir: join(w.folder, name) };
    const file = join(w.folder, `${name}.yml`);
    writeFileSync(file, JSON.stringify(config));
    const child = spawn(binary, ['work', '--config', file], { env: w.assay.environment, stdio: 'ignore' });
    const ended = new Promise((done) => child.on('close', done));
    t.after(async () => {
        child.kill('SIGKILL');
        await ended;
    });
    return child;
}

const childrenOf = (pid) =>
    readdirSync(`/proc/${pid}/task`).flatMap((task) =>
        execFileSync('cat', [`/proc/${pid}/task/${task}/children`], { encoding: 'utf8' }).split(' ').filter(Boolean).map(Number),
    );

test('three workers: the one with the job sleeps past its lease and wakes up when it is done', options, async (t) => {
    const server = await postgres(t);
    if (!server) return t.skip('PostgreSQL is not installed');
    let held = 0;
    const w = await world(t, {
        lenient: true,
        start: false,
        config: { ...often, database: server.url },
        model: script({ implement: () => (held++ ? undefined : slow()) }),
    });
    await w.assay.start();
    const own = w.assay.processes().find(({ argv }) => argv[1] === 'work').pid;
    const workers = [own, anotherMachine(t, w, 'second').pid, anotherMachine(t, w, 'third').pid];
    const issue = w.ask();
    await until('the code is asked for', () => w.model.of('implement').length > 0);
    const owner = workers.find((pid) => childrenOf(pid).length > 0);
    const asleep = [owner, ...childrenOf(owner)];
    for (const pid of asleep) process.kill(pid, 'SIGSTOP');
    t.after(() => asleep.forEach((pid) => existsSync(`/proc/${pid}`) && process.kill(pid, 'SIGCONT')));
    await atRest(w);
    for (const pid of asleep) process.kill(pid, 'SIGCONT');
    await wait(3000); // it finds out
    assert.deepEqual(await audit(w, [issue]), []);
});

// ---- signals ----

test('SIGTERM during a stage hands the job back; a second signal ends everything at once', options, async (t) => {
    let held = 0;
    const w = await world(t, { lenient: true, config: often, model: script({ implement: () => (held++ < 2 ? slow() : undefined) }) });
    const issue = w.ask();
    for (const [signals, within] of [
        [1, 12_000],
        [2, 2_500],
    ]) {
        await until('the code is asked for', () => w.model.of('implement').length >= signals);
        const began = Date.now();
        for (let i = 0; i < signals; i++) {
            w.assay.child.kill('SIGTERM');
            await wait(300);
        }
        await w.assay.ended;
        const took = Date.now() - began;
        assert.ok(took <= within * Math.max(1, PATIENCE / 90_000), `${signals} signal(s): ${took} ms`);
        const [{ state }] = await rows(w, 'SELECT state FROM job');
        if (signals === 1) assert.equal(state, 'queued', 'it was handed back');
        await w.assay.start();
    }
    await atRest(w);
    assert.deepEqual(await audit(w, [issue]), []);
});
