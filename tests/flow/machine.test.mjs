// What the machine under Assay may do: a disk that is full, a clock that jumps.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { atRest, audit } from '../fault/audit.mjs';
import { sign } from '../fake/webhooks.mjs';
import { cannotRun, PATIENCE, script, until, wait, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: Math.max(300_000, 5 * PATIENCE) };

/** A file system of a few MiB; `take` it away after the test, when nothing runs on it any more. */
function smallDisk() {
    const disk = mkdtempSync(join(tmpdir(), 'assay-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m,mode=700', 'small', disk]);
    const take = () => {
        execFileSync('umount', [disk]);
        rmSync(disk, { recursive: true });
    };
    return { disk, take };
}

/** A world whose database and state lie on a disk of its own. */
async function worldOnSmallDisk(t, { deliveries, ...more }) {
    const { disk, take } = smallDisk();
    const w = await world(t, {
        lenient: true,
        config: { database: `sqlite://${disk}/assay.db`, state_dir: `${disk}/state`, catch_up: { deliveries } },
        ...more,
    });
    t.after(take);
    return { disk, w };
}

function fill(disk) {
    try {
        execFileSync('dd', ['if=/dev/zero', `of=${disk}/filler`, 'bs=64k', 'oflag=append', 'conv=notrunc'], { stdio: 'ignore' });
    } catch {
        return; // that is the point
    }
}

/** A delivery that sets nothing off: {status, again: Retry-After, error}. */
async function star(w) {
    const body = JSON.stringify({ action: 'created', noise: randomBytes(3000).toString('hex') });
    const answer = await fetch(w.gh.webhook, {
        method: 'POST',
        headers: {
            'content-type': 'application/json',
            'x-github-event': 'star',
            'x-github-delivery': `star-${randomBytes(8).toString('hex')}`,
            'x-hub-signature-256': sign(w.gh.webhookSecret, body),
        },
        body,
    });
    const { error } = await answer.json();
    return { status: answer.status, again: answer.headers.get('retry-after'), error };
}

const readiness = async (w) => {
    const answer = await fetch(`${w.assay.address}/readyz`);
    return { status: answer.status, error: (await answer.json()).error };
};

const onlyRoot = process.getuid() !== 0 && 'only root may mount a small disk';

test('a full disk: 503, nothing acknowledged is lost, and it goes on when there is room', {
    ...options,
    skip: options.skip || onlyRoot,
}, async (t) => {
    const { disk, w } = await worldOnSmallDisk(t, { deliveries: '0s' });
    const first = w.ask();
    await atRest(w);
    assert.equal((await readiness(w)).status, 200);
    fill(disk);
    const refusal = await until('a delivery is refused', async () => { // the journal's old room is used up first
        const answer = await star(w);
        return answer.status !== 202 && answer;
    });
    assert.deepEqual(refusal, { status: 503, again: '30', error: 'the disk of the database is full; deliver it again later' });
    await until('/readyz says so', async () => (await readiness(w)).status === 503);
    assert.match((await readiness(w)).error, /disk of the database is full/);
    const second = w.ask({ title: 'Slugs, please' });
    await w.gh.settled();
    const refused = w.gh.deliveries.filter((one) => one.status !== 202);
    assert.ok(refused.length > 0, 'what is asked for on a full disk is refused');
    rmSync(`${disk}/filler`);
    await until('it is ready again', async () => (await readiness(w)).status === 200);
    for (const one of refused) w.gh.sendAgain(one);
    await atRest(w);
    assert.deepEqual(await audit(w, [first, second]), []);
});

test('the disk fills while a job runs: a start says why it cannot be, and the job is tried again when there is room', {
    ...options,
    skip: options.skip || onlyRoot,
}, async (t) => {
    const fills = [() => fill(disk)];
    const { disk, w } = await worldOnSmallDisk(t, {
        deliveries: '2s',
        model: script({ implement: () => void fills.shift()?.() }),
    });
    const issue = w.ask();
    await until('the code is asked for', () => fills.length === 0);
    await until('its attempt is over', () => w.assay.jobProcesses().length === 0);
    await w.assay.stop(); // which gives back the room of SQLite's journal
    fill(disk);
    await assert.rejects(w.assay.start(), /No space left on device|no room left/);
    rmSync(`${disk}/filler`);
    await w.assay.start();
    await w.assay.command('retry', '1'); // if it was put back: half a minute would pass first
    await atRest(w);
    assert.deepEqual(await audit(w, [issue]), []);
});

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

test('the clock jumps two hours ahead, and three back, while a job runs', {
    ...options,
    skip: options.skip || (!existsSync(FAKETIME) && 'libfaketime is not installed'),
}, async (t) => {
    const jumps = { tests: ['+2h'], implement: ['-1h'] };
    const w = await world(t, {
        lenient: true,
        start: false,
        model: script(
            Object.fromEntries(
                ['tests', 'implement'].map((role) => [
                    role,
                    () => {
                        const jump = jumps[role].shift();
                        if (jump) writeFileSync(join(w.folder, 'clock'), jump);
                    },
                ]),
            ),
        ),
    });
    writeFileSync(join(w.folder, 'clock'), '+0');
    Object.assign(w.assay.environment, {
        LD_PRELOAD: FAKETIME,
        FAKETIME_TIMESTAMP_FILE: join(w.folder, 'clock'),
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
    });
    await w.assay.start();
    const issue = w.ask();
    await atRest(w);
    w.gh.violations = w.gh.violations.filter((one) => !/App JWT: (iat|exp)/.test(one)); // until it has seen GitHub's clock
    assert.deepEqual(await audit(w, [issue]), []);
});
