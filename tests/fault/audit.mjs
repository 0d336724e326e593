// What must hold after faults, whatever they were: nothing acknowledged is lost, nothing is done twice, nothing is left.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PATIENCE, tools, until, wait } from '../flow/harness.mjs';

const PULLS = 'POST /repos/{owner}/{repo}/pulls';

// Rows as JSON, by the sqlite3 of the Python that flows need anyway. Not through Assay: this is to judge it.
const QUERY = `
import json, sqlite3, sys
rows = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True, timeout=20)
rows.row_factory = sqlite3.Row
print(json.dumps([dict(row) for row in rows.execute(sys.argv[2])]))
`;

const run = promisify(execFile);

/** The rows of a question to a database, by its address. */
export async function query(database, sql) {
    const wrapped = `SELECT coalesce(json_agg(t), '[]') FROM (${sql}) t`;
    const { stdout } = database.startsWith('postgresql:')
        ? await run('psql', ['-XAtq', '-d', database, '-c', wrapped])
        : await run(join(tools, 'python/bin/python'), ['-c', QUERY, database.slice('sqlite://'.length), sql]);
    return JSON.parse(stdout);
}

export function rows(w, sql) {
    const { database } = JSON.parse(readFileSync(w.assay.file, 'utf8'));
    return query(database ?? `sqlite://${join(w.folder, 'state/assay.db')}`, sql);
}

const isServer = (w) => /"postgresql:/.test(readFileSync(w.assay.file, 'utf8'));

async function checkStore(w, wrong) {
    if (!isServer(w)) {
        const [{ integrity_check: state }] = await rows(w, 'PRAGMA integrity_check');
        if (state !== 'ok') wrong(`the database is damaged: ${state}`);
        if ((await rows(w, 'PRAGMA foreign_key_check')).length) wrong('a foreign key leads nowhere');
    }
    const kept = new Map((await rows(w, 'SELECT id, state, note FROM delivery')).map((one) => [one.id, one]));
    for (const { id, event, status } of w.gh.deliveries) {
        const row = kept.get(id);
        if (status === 202 && !row) wrong(`delivery ${id} (${event}) was acknowledged and is lost`);
        if (row && row.state !== 'done') wrong(`delivery ${id} (${event}) is ${row.state}: ${row.note}`);
    }
}

function checkIssue(w, issue, jobs, wrong) {
    const where = `issue #${issue.number}`;
    if (jobs.length !== 1) return wrong(`${where} has ${jobs.length} jobs`);
    const [{ id, state, outcome, reason }] = jobs;
    // A model that is slow on a busy machine can cost some evidence: that is no fault.
    if (state !== 'done' || !['proven', 'unproven'].includes(outcome)) wrong(`${where}: job ${id} is ${state} ${outcome} (${reason})`);
    const markers = w.markers(issue).filter((one) => one?.startsWith('job:'));
    if (markers.join() !== `job:${id}:progress`) wrong(`${where} has the comments ${markers.join()}`);
    const eyes = issue.reactions.filter((one) => one.content === 'eyes').length;
    if (eyes !== 1) wrong(`${where} has ${eyes} reactions`);
    const pulls = w.gh.pulls(w.repo).filter((one) => one.body.includes(`Fixes #${issue.number}\n`));
    if (pulls.length !== 1) wrong(`${where} has ${pulls.length} pull requests`);
    const checks = w.checks().filter((one) => one.external_id === `job-${id}`);
    const conclusions = checks.map((one) => one.conclusion).join();
    if (conclusions !== (outcome === 'proven' ? 'success' : 'neutral')) wrong(`${where} has the check runs ${conclusions}`);
}

async function checkForge(w, issues, helps, wrong) {
    const pulls = w.gh.pulls(w.repo);
    if (pulls.length !== issues.length) wrong(`${pulls.length} pull requests for ${issues.length} issues`);
    const opened = w.writes(PULLS).length;
    if (opened !== issues.length) wrong(`${opened} pull requests were opened for ${issues.length} issues`);
    const branches = Object.keys(await w.repo.git.branches()).length;
    if (branches !== issues.length + 1) wrong(`${branches} branches for ${issues.length} issues and main`);
    for (const { issue, count } of helps) {
        const said = w.said(issue).length - w.markers(issue).filter((one) => one?.startsWith('job:')).length;
        if (said !== count) wrong(`issue #${issue.number}: ${said} answers to ${count} commands`);
    }
    for (const text of [...w.gh.violations, ...w.gh.mistakes, ...w.model.violations]) wrong(text);
}

/** What runs or is mounted of attempts that have ended. */
async function checkLeftovers(w, wrong) {
    const mounts = () => readFileSync('/proc/mounts', 'utf8').split('\n').filter((line) => line.includes(w.folder));
    const work = () => {
        try {
            return readdirSync(join(w.folder, 'state/work')).filter((name) => !name.startsWith('.'));
        } catch {
            return [];
        }
    };
    const clean = () => mounts().length === 0 && work().length === 0;
    await until('everything is cleared away', clean, 15_000).catch(() =>
        wrong(`left over: ${[...mounts(), ...work()].join('; ')}`),
    );
}

/** Everything that has come to rest, held against what must hold: a list of what does not. `helps`: the `/help` comments,
 *  [{issue, count}]. */
export async function audit(w, issues, helps = []) {
    const found = [];
    const wrong = (text) => void found.push(text);
    await checkStore(w, wrong);
    const jobs = await rows(w, 'SELECT id, number, state, outcome, reason FROM job ORDER BY id');
    for (const issue of issues) checkIssue(w, issue, jobs.filter((job) => job.number === issue.number), wrong);
    if (jobs.length !== issues.length) wrong(`${jobs.length} jobs for ${issues.length} issues`);
    await checkForge(w, issues, helps, wrong);
    await checkLeftovers(w, wrong);
    return found;
}

const OPEN = `SELECT 'job ' || id AS what, state, reason AS why FROM job WHERE state IN ('queued', 'running')
    UNION ALL SELECT id, state, note FROM delivery WHERE state IN ('waiting', 'taken')`;

/** Nothing is open, and each delivery has arrived. */
async function isAtRest(w) {
    const open = await rows(w, OPEN);
    if (open.length) return { open };
    const known = new Set((await rows(w, 'SELECT id FROM delivery')).map((one) => one.id));
    return { open: w.gh.deliveries.filter((one) => !known.has(one.id)).map(({ id, event, status }) => ({ id, event, status })) };
}

/** All deliveries have been worked through, and all jobs have ended. Asks seldom: the fakes live in this process. */
export async function atRest(w, patience = 5 * PATIENCE) {
    await w.gh.settled();
    const end = Date.now() + patience;
    for (;;) {
        const { open } = await isAtRest(w).catch((error) => ({ open: [error.message] })); // a server that is being killed
        if (!open.length) return;
        if (Date.now() > end)
            throw new Error(`no rest after ${patience / 1000} s: ${JSON.stringify(open)}\n${w.assay.log.slice(-3000)}`);
        await wait(500);
    }
}
