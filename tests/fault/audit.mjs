// What must hold after faults, whatever they were: nothing acknowledged is lost, nothing is done twice, nothing is left.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PATIENCE, tools, until } from '../flow/harness.mjs';

const PULLS = 'POST /repos/{owner}/{repo}/pulls';

// Rows as JSON, by the sqlite3 of the Python that flows need anyway. Not through Assay: this is to judge it.
const QUERY = `
import json, sqlite3, sys
rows = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True, timeout=20)
rows.row_factory = sqlite3.Row
print(json.dumps([dict(row) for row in rows.execute(sys.argv[2])]))
`;

/** The rows of a question to a database, by its address. */
export function query(database, sql) {
    const text = { encoding: 'utf8' };
    const wrapped = `SELECT coalesce(json_agg(t), '[]') FROM (${sql}) t`;
    return JSON.parse(
        database.startsWith('postgresql:')
            ? execFileSync('psql', ['-XAtq', '-d', database, '-c', wrapped], text)
            : execFileSync(join(tools, 'python/bin/python'), ['-c', QUERY, database.slice('sqlite://'.length), sql], text),
    );
}

export function rows(w, sql) {
    const { database } = JSON.parse(readFileSync(w.assay.file, 'utf8'));
    return query(database ?? `sqlite://${join(w.folder, 'state/assay.db')}`, sql);
}

const isServer = (w) => /"postgresql:/.test(readFileSync(w.assay.file, 'utf8'));

function checkStore(w, wrong) {
    if (!isServer(w)) {
        const [{ integrity_check: state }] = rows(w, 'PRAGMA integrity_check');
        if (state !== 'ok') wrong(`the database is damaged: ${state}`);
        if (rows(w, 'PRAGMA foreign_key_check').length) wrong('a foreign key leads nowhere');
    }
    const kept = new Map(rows(w, 'SELECT id, state, note FROM delivery').map((one) => [one.id, one]));
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
    if (state !== 'done' || outcome !== 'proven') wrong(`${where}: job ${id} is ${state} ${outcome} (${reason})`);
    const markers = w.markers(issue).filter((one) => one?.startsWith('job:'));
    if (markers.join() !== `job:${id}:progress`) wrong(`${where} has the comments ${markers.join()}`);
    const eyes = issue.reactions.filter((one) => one.content === 'eyes').length;
    if (eyes !== 1) wrong(`${where} has ${eyes} reactions`);
    const pulls = w.gh.pulls(w.repo).filter((one) => one.body.includes(`Fixes #${issue.number}\n`));
    if (pulls.length !== 1) wrong(`${where} has ${pulls.length} pull requests`);
    const checks = w.checks().filter((one) => one.external_id === `job-${id}`);
    if (checks.length !== 1 || checks[0].conclusion !== 'success') wrong(`${where} has ${checks.length} check runs`);
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
    checkStore(w, wrong);
    const jobs = rows(w, 'SELECT id, number, state, outcome, reason FROM job ORDER BY id');
    for (const issue of issues) checkIssue(w, issue, jobs.filter((job) => job.number === issue.number), wrong);
    if (jobs.length !== issues.length) wrong(`${jobs.length} jobs for ${issues.length} issues`);
    await checkForge(w, issues, helps, wrong);
    await checkLeftovers(w, wrong);
    return found;
}

/** All deliveries have been worked through, and all jobs have ended. */
export async function atRest(w, patience = 5 * PATIENCE) {
    await w.gh.settled();
    let open = '';
    await until(
        'everything has come to rest',
        () => {
            const jobs = rows(w, "SELECT id, state, reason FROM job WHERE state IN ('queued', 'running')");
            const deliveries = rows(w, "SELECT id, state, note FROM delivery WHERE state IN ('waiting', 'taken')");
            open = JSON.stringify([...jobs, ...deliveries]);
            const known = new Set(rows(w, 'SELECT id FROM delivery').map((one) => one.id));
            return open === '[]' && w.gh.deliveries.every((one) => known.has(one.id));
        },
        patience,
    ).catch((error) => {
        throw new Error(`${error.message}: ${open}\n--- the log ends with:\n${w.assay.log.slice(-3000)}`);
    });
}
